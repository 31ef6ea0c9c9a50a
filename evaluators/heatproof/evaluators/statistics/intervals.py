"""Which interval a score gets, by what is declared of it.

| score | interval |
|---|---|
| proportion | Wilson |
| mean or ratio of means, no atoms | bootstrap-t |
| mean with the atom 0 alone, 8 units beside it | Wilson for the atom's share times bootstrap-t |
| other atoms, groups with atoms, ratios with atoms | betting |
| bounded mean or proportion, where bounded intervals are asked for | betting |

An atom is a score that a real share of the images has exactly. A small sample that happens to hold
none of them looks certain to a bootstrap, which cannot resample what was not drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Protocol, runtime_checkable

from heatproof.evaluators.catalogue import Range
from heatproof.evaluators.outcomes import Estimator, ProportionEstimator, RatioEstimator
from heatproof.evaluators.statistics.arms import Arm, Contrast
from heatproof.evaluators.statistics.betting import grouped_limits, mean_limits, ratio_limits
from heatproof.evaluators.statistics.bootstrap import (
    MIN_UNITS,
    Studentised,
    bootstrap_t,
    limit_of,
)
from heatproof.evaluators.statistics.proportions import wilson_interval


class Intervals(StrEnum):
    """Which intervals are made of bounded means and proportions."""

    STANDARD = "standard"
    BOUNDED = "bounded"


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Scores of units, with what is declared of them.

    Attributes:
        arm: the scores, summed over each unit.
        estimator: range and atoms of a score.
        grouped: whether units are groups of images.
        largest: images of the largest unit.
    """

    arm: Arm
    estimator: Estimator
    grouped: bool = False
    largest: int = 1

    def is_bounded_mean(self) -> bool:
        """Whether the betting interval of a mean applies."""
        return not isinstance(self.estimator, RatioEstimator) and is_finite(self.estimator.range)


@dataclass(frozen=True, slots=True)
class Limits:
    """Ends of an interval, and the name of its method."""

    lower: float
    upper: float
    method: str


@runtime_checkable
class Method(Protocol):
    """Makes an interval."""

    def contrasts(self) -> tuple[Contrast, ...]:
        """What it needs resampled."""
        ...

    def limits(self, found: Sequence[Studentised | None], tail: float) -> Limits | None:
        """Makes the interval from the resamples; None if they do not serve."""
        ...


def intervals(
    scores: Sequence[Measured], *, seed: int, level: float, kind: Intervals = Intervals.STANDARD
) -> list[Limits | None]:
    """Makes the intervals of several scores of the same units, on the same resamples.

    Args:
        scores: over the same units in the same order.
        seed: of the resamples.
        level: confidence level.
        kind: which intervals bounded means and proportions get.

    Returns:
        Intervals cut to the range of their scores; None below 8 units, or where the data do not
        tell.
    """
    methods = [method_of(score, kind) for score in scores]
    wanted = [() if method is None else method.contrasts() for method in methods]
    found = iter(bootstrap_t([one for group in wanted for one in group], seed=seed))
    tail = (1 - level) / 2
    made = [
        None if method is None else method.limits([next(found) for _ in group], tail)
        for method, group in zip(methods, wanted, strict=True)
    ]
    return [
        None if limits is None else _cut(limits, score.estimator.range)
        for limits, score in zip(made, scores, strict=True)
    ]


def method_of(score: Measured, kind: Intervals) -> Method | None:
    """Chooses the method of an interval; None if there is none."""
    if score.arm.count < MIN_UNITS:
        return None
    if kind is Intervals.BOUNDED and score.is_bounded_mean():
        return Betting(score)
    if isinstance(score.estimator, ProportionEstimator) and not score.grouped:
        return Wilson(score.arm)
    if not score.estimator.atoms:
        return BootstrapT(score.arm)
    if _is_mixture(score):
        return ZeroInflated(score.arm)
    return Betting(score) if _is_bounded(score.estimator) else None


def is_finite(numbers: Range) -> bool:
    """Whether both ends are finite."""
    return isfinite(numbers.lower) and isfinite(numbers.upper)


def _is_bounded(estimator: Estimator) -> bool:
    parts = not isinstance(estimator, RatioEstimator) or is_finite(estimator.part_range)
    return parts and is_finite(estimator.range)


def _is_mixture(score: Measured) -> bool:
    """Whether the score is an ungrouped mean with the atom 0 alone, and enough units beside it."""
    if isinstance(score.estimator, RatioEstimator) or score.grouped:
        return False
    beside = int((score.arm.scored & (score.arm.numerators != 0)).sum())
    return score.estimator.atoms == (0.0,) and beside >= MIN_UNITS


def _cut(limits: Limits, to: Range) -> Limits:
    return Limits(to.clip(limits.lower), to.clip(limits.upper), limits.method)


@dataclass(frozen=True, slots=True, eq=False)
class Wilson:
    """Wilson's score interval of a proportion."""

    arm: Arm

    def contrasts(self) -> tuple[Contrast, ...]:
        """Nothing."""
        return ()

    def limits(self, found: Sequence[Studentised | None], tail: float) -> Limits | None:  # noqa: ARG002  # as the protocol says
        """Makes the interval."""
        successes = round(self.arm.numerators.sum())
        return Limits(*wilson_interval(successes, self.arm.count, level=1 - 2 * tail), "wilson")


@dataclass(frozen=True, slots=True, eq=False)
class BootstrapT:
    """Bootstrap-t interval of a mean or a ratio of means."""

    arm: Arm

    def contrasts(self) -> tuple[Contrast, ...]:
        """The arm itself."""
        return (Contrast((self.arm,)),)

    def limits(self, found: Sequence[Studentised | None], tail: float) -> Limits | None:
        """Makes the interval; None if the resamples refuse it."""
        (studentised,) = found
        lower, upper = limit_of(studentised, tail), limit_of(studentised, 1 - tail)
        return None if lower is None or upper is None else Limits(lower, upper, "bootstrap_t")


@dataclass(frozen=True, slots=True, eq=False)
class ZeroInflated:
    """Interval of a mean of scores of which a share is 0: `(1 - share) mean(others)`.

    Wilson's interval of the share and the bootstrap-t interval of the others, each at the whole
    level, combined at their worst. Ours.
    """

    arm: Arm

    def contrasts(self) -> tuple[Contrast, ...]:
        """The scores that are not 0."""
        return (Contrast((self.arm.within(self.arm.numerators != 0),)),)

    def limits(self, found: Sequence[Studentised | None], tail: float) -> Limits | None:
        """Makes the interval; None if the resamples of the others refuse theirs."""
        others = self.contrasts()[0]
        rest = BootstrapT(others.arms[0]).limits(found, tail)
        if rest is None:
            return None
        zeros = self.arm.count - others.count
        least, most = wilson_interval(zeros, self.arm.count, level=1 - 2 * tail)
        lower = min((1 - least) * rest.lower, (1 - most) * rest.lower)
        upper = max((1 - least) * rest.upper, (1 - most) * rest.upper)
        return Limits(lower, upper, "wilson_bootstrap_t")


@dataclass(frozen=True, slots=True, eq=False)
class Betting:
    """Betting interval of a bounded mean, or of a ratio of means whose parts are bounded."""

    score: Measured

    def contrasts(self) -> tuple[Contrast, ...]:
        """Nothing."""
        return ()

    def limits(self, found: Sequence[Studentised | None], tail: float) -> Limits | None:  # noqa: ARG002  # as the protocol says
        """Makes the interval; None if no mean is left."""
        ends = betting_limits(self.score, tail)
        return None if ends is None else Limits(*ends, "betting")


def betting_limits(score: Measured, tail: float) -> tuple[float, float] | None:
    """Lower and upper betting limit, each of which errs with chance `tail`."""
    arm, estimator = score.arm, score.estimator
    if isinstance(estimator, RatioEstimator):
        numerators = _difference(estimator.part_range, estimator.numerator, score.largest)
        denominators = _difference(estimator.part_range, estimator.denominator, score.largest)
        return ratio_limits(arm, estimator.range, numerators, denominators, tail)
    if score.grouped:
        return grouped_limits(arm, estimator.range, score.largest, tail)
    lower, width = estimator.range.lower, estimator.range.width
    low, high = mean_limits((arm.numerators[arm.scored] - lower) / width, tail)
    return (lower + width * float(low), lower + width * float(high)) if low <= high else None


def _difference(part: Range, names: tuple[str, str], images: int) -> Range:
    """Where the sum of a difference of two parts lies; an empty name stands for 0."""
    first, second = (part if name else Range(0, 0) for name in names)
    ends = images * (first.lower - second.upper), images * (first.upper - second.lower)
    return Range(*ends)
