"""The same work in Heatproof and in another library, in turns, with the scores of both."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np

from benchmarks.alone import REST, Ratio
from benchmarks.peers.ceiling import Passes, bare_seconds

COLUMNS = (
    "work", "other library", "its s", "Heatproof's s", "its time over Heatproof's",
    "its time over the passes'", "its scores, mean", "Heatproof's scores, mean", "how they agree",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Agreement:
    """How near the answers of both are.

    Attributes:
        word: what is told.
        measure: takes ours and theirs.
    """

    word: str
    measure: Callable[[np.ndarray, np.ndarray], float]


LARGEST = Agreement("largest difference {:.1e}", lambda a, b: float(np.abs(a - b).max()))
"""Of what is computed on equal inputs."""

CORRELATED = Agreement(
    "correlation {:.2f}, each with its own draws",
    lambda ours, theirs: float(
        np.mean([_correlation(a, b) for a, b in zip(ours, theirs, strict=True)])
    ),
)
"""Of maps or scores that each side draws for itself."""

DRAWN = Agreement(
    "largest relative difference {:.0%}, each with its own draws",
    lambda a, b: float((np.abs(a - b) / np.abs(b)).max()),
)
"""Of scores over draws."""


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


@dataclass(frozen=True, slots=True)
class Contest:
    """One piece of work that both do.

    Attributes:
        work: what is done, with its sizes.
        peer: the other library and its function.
        theirs: does it there; an answer for each image.
        ours: does it here.
        network: name of the network.
        passes: rows that it needs by the kind of their pass, from the answers of one run here.
        agreement: how the answers are compared.
    """

    work: str
    peer: str
    theirs: Callable[[], np.ndarray]
    ours: Callable[[], np.ndarray]
    network: str
    passes: Callable[[], Passes]
    agreement: Agreement = LARGEST

    def row(self, rounds: int) -> tuple[object, ...]:
        """Runs both in turns, after a run of ours that is not counted: it opens the sessions."""
        self.ours()
        taken: dict[str, list[float]] = {"theirs": [], "ours": []}
        answers: dict[str, np.ndarray] = {}
        for _ in range(rounds):
            for name, call in (("theirs", self.theirs), ("ours", self.ours)):
                time.sleep(REST)
                start = time.perf_counter()
                answers[name] = np.asarray(call(), np.float64)
                taken[name].append(time.perf_counter() - start)
        time.sleep(REST)
        bare = bare_seconds(self.network, self.passes())
        shares = [a / b for a, b in zip(taken["theirs"], taken["ours"], strict=True)]
        ours, theirs = answers["ours"], answers["theirs"]
        return (
            self.work, self.peer, f"{median(taken['theirs']):.2f}", f"{median(taken['ours']):.2f}",
            Ratio(median(shares), min(shares), max(shares)),
            f"{median(taken['theirs']) / bare:.2f}", f"{theirs.mean():.4f}",
            f"{ours.mean():.4f}", self.agreement.word.format(self.agreement.measure(ours, theirs)),
        )  # fmt: skip
