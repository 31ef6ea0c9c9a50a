"""The paired permutation test, and Holm's correction for several of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64

from heatproof.evaluators.statistics.arms import Arm

EXACT_UP_TO: Final = 12
"""Up to this many pairs, all sign patterns are tried."""
RESAMPLES: Final = 9_999
CHUNK_CELLS: Final = 4_000_000
"""Largest block of swaps in memory, in cells."""

Values = Float64[np.ndarray, "patterns"]
Swaps = Float64[np.ndarray, "patterns images"]
Deltas = Float64[np.ndarray, "images columns"]


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A candidate against its baseline, both scored on the same images.

    Attributes:
        candidate: the arm that may be worse.
        baseline: the arm that it is compared with.
        badness: how bad an estimate is; it makes one direction of three.
    """

    candidate: Arm
    baseline: Arm
    badness: Callable[[Values], Values]

    @property
    def count(self) -> int:
        """Pairs of scores."""
        return self.candidate.count

    def deltas(self) -> Deltas:
        """What a swap of each image adds to the candidate's sums."""
        return np.stack(
            [
                self.baseline.numerators - self.candidate.numerators,
                self.baseline.denominators - self.candidate.denominators,
            ],
            axis=1,
        )

    def on(self, images: Bool[np.ndarray, "images"]) -> "Trial":
        """The same trial without the other images."""
        candidate, baseline = (
            Arm(arm.numerators[images], arm.denominators[images], arm.scored[images])
            for arm in (self.candidate, self.baseline)
        )
        return Trial(candidate, baseline, self.badness)


def paired_p_values(trials: Sequence[Trial], *, seed: int) -> tuple[float, ...]:
    """One-sided p-values of `candidate worse than baseline` under exchangeable arms.

    Candidate and baseline are swapped image by image: all patterns up to 12 pairs, else 9,999
    seeded ones, the same for all trials, with `p = (1 + b) / (1 + B)`.

    Args:
        trials: over the same images in the same order.
        seed: of the swaps.
    """
    large = [trial for trial in trials if trial.count > EXACT_UP_TO]
    sampled = iter(_sampled_p_values(large, seed=seed))
    return tuple(
        next(sampled) if trial.count > EXACT_UP_TO else _exact_p_value(trial) for trial in trials
    )


def smallest_p_value(pairs: int) -> float:
    """Smallest p-value that a test on this many pairs can give."""
    return 2.0**-pairs if pairs <= EXACT_UP_TO else 1 / (1 + RESAMPLES)


def _exact_p_value(trial: Trial) -> float:
    paired = trial.on(trial.candidate.scored)
    patterns = np.arange(2**paired.count)[:, None]
    swaps = ((patterns >> np.arange(paired.count)) & 1).astype(np.float64)
    return _extreme(paired, swaps @ paired.deltas()) / len(swaps)


def _sampled_p_values(trials: Sequence[Trial], *, seed: int) -> list[float]:
    if not trials:
        return []
    deltas = np.concatenate([trial.deltas() for trial in trials], axis=1)
    extreme = np.zeros(len(trials), dtype=np.int64)
    for swaps in _random_swaps(len(deltas), np.random.default_rng(seed)):
        added = np.split(swaps @ deltas, len(trials), axis=1)
        extreme += [_extreme(*pair) for pair in zip(trials, added, strict=True)]
    return [float((1 + count) / (1 + RESAMPLES)) for count in extreme]


def _random_swaps(images: int, rng: np.random.Generator) -> Iterator[Swaps]:
    chunk = max(1, CHUNK_CELLS // images)
    for start in range(0, RESAMPLES, chunk):
        rows = min(chunk, RESAMPLES - start)
        yield rng.integers(0, 2, size=(rows, images), dtype=np.uint8).astype(np.float64)


def _extreme(trial: Trial, added: Float64[np.ndarray, "patterns 2"]) -> int:
    """Counts the swaps under which the candidate looks at least as bad as it does."""
    # Sums of the same numbers in another order differ by rounding; ties count against the claim.
    slack = 1e-12 * (_size(trial.candidate) + _size(trial.baseline))
    observed = _differences(trial, np.zeros((1, 2)))[0]
    return int((_differences(trial, added) >= observed - slack).sum())


def _size(arm: Arm) -> float:
    return float(np.abs(arm.numerators).sum() / np.abs(arm.denominators.sum()))


def _differences(trial: Trial, added: Float64[np.ndarray, "patterns 2"]) -> Values:
    candidate, baseline = trial.candidate, trial.baseline
    with np.errstate(divide="ignore", invalid="ignore"):
        mine = (candidate.numerators.sum() + added[:, 0]) / (
            candidate.denominators.sum() + added[:, 1]
        )
        theirs = (baseline.numerators.sum() - added[:, 0]) / (
            baseline.denominators.sum() - added[:, 1]
        )
        differences: Values = trial.badness(mine) - trial.badness(theirs)
    # A swap without an estimate counts against the claim.
    return np.where(np.isnan(differences), np.inf, differences)


def holm(p_values: Sequence[float], *, tests: int | None = None) -> tuple[float, ...]:
    """Holm's step-down adjustment, in the order given (Holm 1979).

    Args:
        p_values: of the tests that were made.
        tests: how many there are in all; those that were not made count as p = 1.
    """
    total = len(p_values) if tests is None else tests
    order = np.argsort(np.asarray(p_values), kind="stable")
    adjusted = np.empty(len(p_values))
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (total - rank) * p_values[index]))
        adjusted[index] = running
    return tuple(float(value) for value in adjusted)
