"""The table of comparisons: who is compared with what, how closely, and why not where it is so."""

import contextlib
import io
import json
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version

import numpy as np
import torch

from tests.peers.bench import Bench
from tests.peers.journal import XPLIQUE, Record, Verdict

Pair = tuple[object, object]
"""Heatproof's numbers and the peer's, of one shape."""

CLOSE = 1e-5
"""For probabilities and scores in [-1, 1] without ties, in float32."""

KERNELS = 1e-3
"""Relative, for maps through different kernels."""

DRAWS = 200
ERRORS = 4.0
"""Standard errors within which means over draws of two libraries agree."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What shows why a peer's number is another one.

    Attributes:
        pair: Heatproof's numbers and the peer's, of the same question.
        holds: whether the stated cause accounts for the difference.
    """

    pair: Pair
    holds: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """A row of the table.

    Attributes:
        kind: `metric`, `explainer` or `removal`.
        name: as registered.
        peer: the package.
        compared: on what, in words.
        tolerance: see `Record`.
        unit: see `Record`.
        reason: why the peer differs; "" if it should not.
        run: makes the numbers.
    """

    kind: str
    name: str
    peer: str
    compared: str
    tolerance: float
    unit: str
    reason: str
    run: Callable[[Bench], Pair | Shown]

    def found(self, bench: Bench) -> Record:
        """Runs both and judges."""
        blank = Record(
            self.kind,
            self.name,
            self.peer,
            _version(self.peer),
            self.run.__name__,
            self.compared,
            self.tolerance,
            None,
            self.unit,
            Verdict.FAILED,
        )
        try:
            with _quiet():
                answer = self.run(bench)
            pair = answer.pair if isinstance(answer, Shown) else answer
            size = _difference(pair, self.unit)
        except Exception as error:  # noqa: BLE001  # any error of a peer is a finding
            where = traceback.extract_tb(error.__traceback__)[-1]
            text = f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})"
            return replace(blank, reason=" ".join(text.split())[:300])
        if isinstance(answer, Shown):
            verdict = Verdict.EXPLAINED if answer.holds else Verdict.DISAGREES
        else:
            verdict = Verdict.AGREES if size <= self.tolerance else Verdict.DISAGREES
        return replace(blank, difference=size, verdict=verdict, reason=self.reason)


COMPARISONS: list[Comparison] = []


def agrees(  # noqa: PLR0917  # a row of the table
    kind: str, name: str, peer: str, compared: str, tolerance: float = CLOSE, unit: str = "absolute"
) -> Callable[[Callable[[Bench], Pair]], Callable[[Bench], Pair]]:
    """Enters a comparison whose numbers must be the same within the tolerance."""

    def enter(run: Callable[[Bench], Pair]) -> Callable[[Bench], Pair]:
        COMPARISONS.append(Comparison(kind, name, peer, compared, tolerance, unit, "", run))
        return run

    return enter


def agrees_in_mean(
    kind: str, name: str, peer: str, compared: str
) -> Callable[[Callable[[Bench], Pair]], Callable[[Bench], Pair]]:
    """Enters a comparison of draws: the means of both lie within four standard errors."""
    return agrees(kind, name, peer, compared, ERRORS, "standard errors")


def differs(
    kind: str, name: str, peer: str, compared: str, reason: str
) -> Callable[[Callable[[Bench], Shown]], Callable[[Bench], Shown]]:
    """Enters a comparison with a peer that computes something else, and what shows it."""

    def enter(run: Callable[[Bench], Shown]) -> Callable[[Bench], Shown]:
        COMPARISONS.append(Comparison(kind, name, peer, compared, 0.0, "absolute", reason, run))
        return run

    return enter


def near(ours: object, theirs: object, tolerance: float = CLOSE) -> bool:
    """Whether numbers of one shape are the same within a tolerance."""
    return _difference((ours, theirs), "absolute") <= tolerance


def _difference(pair: Pair, unit: str) -> float:
    ours, theirs = (np.asarray(side, np.float64) for side in pair)
    if unit == "standard errors":
        return standard_errors(ours, theirs)
    if ours.shape != theirs.shape:
        message = f"Heatproof gives the shape {ours.shape}, the peer {theirs.shape}"
        raise ValueError(message)
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        raise ValueError("numbers are not finite")
    scale = np.abs(theirs).max() if unit == "relative" else 1.0
    return float(np.abs(ours - theirs).max() / (scale or 1.0))


def standard_errors(ours: np.ndarray, theirs: np.ndarray) -> float:
    """How far the means of draws [draws, ...] lie apart, in standard errors of the difference."""
    spread = np.sqrt(sum(side.var(axis=0, ddof=1) / len(side) for side in (ours, theirs)))
    return float((np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) / spread).max())


def _version(peer: str) -> str:
    if peer == "xplique":
        return str(json.loads(XPLIQUE.read_text(encoding="utf-8"))["version"])
    return version(peer)


def seed_peers(seed: int) -> None:
    """Peers draw from the global streams."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002, TID251  # there is no other way to seed them


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Peers print and warn of their parameters."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        with contextlib.redirect_stderr(io.StringIO()):
            yield
