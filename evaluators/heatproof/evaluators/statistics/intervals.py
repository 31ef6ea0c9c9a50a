"""Which interval a score gets, by what is declared of it.

| score | interval |
|---|---|
| proportion | Wilson |
| mean, ratio of means or sum of such ratios, no atoms | bootstrap-t |
| mean with the atom 0 alone, 8 units beside it | Wilson for the atom's share times bootstrap-t |
| other atoms, groups with atoms, ratios with atoms | betting |
| scores of a set, such as an entropy | none |
| bounded mean or proportion, where bounded intervals are asked for | betting |

An atom is a score that a real share of the images has exactly. A small sample that happens to hold
none of them looks certain to a bootstrap, which cannot resample what was not drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from heatproof.evaluators.registry.parameters import Range
from heatproof.evaluators.statistics.arms import Arm, ArmContrast
from heatproof.evaluators.statistics.bootstrap import (
    MIN_UNITS,
    Studentised,
    bootstrap_t,
    limit_of,
)
from heatproof.evaluators.statistics.proportions import wilson_interval
from heatproof.evaluators.statistics.reductions import Reduction


class Intervals(StrEnum):
    """Which intervals are made of bounded means and proportions."""

    STANDARD = "standard"
    BOUNDED = "bounded"


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Scores of units, with what is declared of them.

    Attributes:
        contrast: the scores, summed over each unit.
        reduction: range and atoms of a score.
        grouped: whether units are groups of images.
        largest: images of the largest unit.
    """

    contrast: ArmContrast
    reduction: Reduction
    grouped: bool = False
    largest: int = 1

    @classmethod
    def of(
        cls, arm: Arm, reduction: Reduction, *, grouped: bool = False, largest: int = 1
    ) -> "Measured":
        """What one arm says."""
        return cls(ArmContrast((arm,)), reduction, grouped, largest)

    @property
    def arm(self) -> Arm:
        """The first arm: the only one, but of a score over several models."""
        return self.contrast.arms[0]

    def is_bounded_mean(self) -> bool:
        """Whether the betting interval of a mean applies."""
        return self.reduction.is_mean and self.reduction.is_bounded

    def betting_limits(self, tail: float) -> tuple[float, float] | None:
        """Lower and upper betting limit, each of which errs with chance `tail`; None if none."""
        return self.reduction.betting_limits(
            self.arm, grouped=self.grouped, largest=self.largest, tail=tail
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """Ends of an interval, and the name of its method."""

    lower: float
    upper: float
    method: str

    def within(self, ends: Range) -> "Limits":
        """The limits cut to where the score lies."""
        return Limits(ends.clip(self.lower), ends.clip(self.upper), self.method)


@runtime_checkable
class IntervalMethod(Protocol):
    """Makes an interval."""

    def contrasts(self) -> tuple[ArmContrast, ...]:
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
    made = limits_by([method_of(score, kind) for score in scores], seed=seed, level=level)
    return [
        None if limits is None else limits.within(score.reduction.range)
        for limits, score in zip(made, scores, strict=True)
    ]


def limits_by(
    methods: Sequence[IntervalMethod | None], *, seed: int, level: float
) -> list[Limits | None]:
    """Makes intervals by these methods, on the same resamples; None without method or limits."""
    wanted = [() if method is None else method.contrasts() for method in methods]
    found = iter(bootstrap_t([one for group in wanted for one in group], seed=seed))
    tail = (1 - level) / 2
    return [
        None if method is None else method.limits([next(found) for _ in group], tail)
        for method, group in zip(methods, wanted, strict=True)
    ]


def method_of(score: Measured, kind: Intervals) -> IntervalMethod | None:
    """Chooses the method of an interval; None if there is none."""
    if score.arm.count < MIN_UNITS or not score.reduction.is_resampled:
        return None
    if kind is Intervals.BOUNDED and score.is_bounded_mean():
        return Betting(score)
    if score.reduction.is_proportion and not score.grouped:
        return Wilson(score.arm)
    if not score.reduction.atoms:
        return BootstrapT(score.contrast)
    if _is_mixture(score):
        return Inflated(score, score.reduction.atoms[0])
    return Betting(score) if score.reduction.is_bounded else None


def _is_mixture(score: Measured) -> bool:
    """Whether the score is an ungrouped mean with one atom, and enough units beside it."""
    atoms = score.reduction.atoms
    if not score.reduction.is_mean or score.grouped or len(atoms) != 1:
        return False
    beside = int((score.arm.scored & (score.arm.numerators != atoms[0])).sum())
    return score.reduction.is_bounded and beside >= MIN_UNITS


@dataclass(frozen=True, slots=True, eq=False)
class Wilson:
    """Wilson's score interval of a proportion."""

    arm: Arm

    def contrasts(self) -> tuple[ArmContrast, ...]:
        """Nothing."""
        return ()

    def limits(self, found: Sequence[Studentised | None], tail: float) -> Limits | None:  # noqa: ARG002  # as the protocol says
        """Makes the interval."""
        successes = round(self.arm.numerators.sum())
        return Limits(*wilson_interval(successes, self.arm.count, level=1 - 2 * tail), "wilson")


@dataclass(frozen=True, slots=True, eq=False)
class BootstrapT:
    """Bootstrap-t interval of a mean, a ratio of means or a sum of such ratios."""

    contrast: ArmContrast

    def contrasts(self) -> tuple[ArmContrast, ...]:
        """The score itself."""
        return (self.contrast,)

    def limits(self, found: Sequence[Studentised | None], tail: float) -> Limits | None:
        """Makes the interval; None if the resamples refuse it."""
        (studentised,) = found
        lower, upper = limit_of(studentised, tail), limit_of(studentised, 1 - tail)
        return None if lower is None or upper is None else Limits(lower, upper, "bootstrap_t")


@dataclass(frozen=True, slots=True, eq=False)
class Inflated:
    """Interval of a mean of scores of which a share is an atom: `a + (1 - share) mean(others - a)`.

    Wilson's interval of the share and the bootstrap-t interval of the others' distances from the
    atom, each at the whole level, combined at their worst; the betting interval where the others
    are nearly all equal. Ours.

    Attributes:
        score: the scores, one a unit.
        atom: the score that a share of them has.
    """

    score: Measured
    atom: float

    def contrasts(self) -> tuple[ArmContrast, ...]:
        """How far the scores that are not the atom lie from it."""
        arm = self.score.arm
        shifted = arm.numerators - self.atom * arm.denominators
        distances = Arm(shifted, arm.denominators, arm.scored)
        return (ArmContrast((distances.within(arm.numerators != self.atom),)),)

    def limits(self, found: Sequence[Studentised | None], tail: float) -> Limits | None:
        """Makes the interval."""
        others, units = self.contrasts()[0], self.score.arm.count
        rest = BootstrapT(others).limits(found, tail)
        if rest is None:
            return Betting(self.score).limits(found, tail)
        least, most = wilson_interval(units - others.count, units, level=1 - 2 * tail)
        lower = min((1 - least) * rest.lower, (1 - most) * rest.lower)
        upper = max((1 - least) * rest.upper, (1 - most) * rest.upper)
        return Limits(self.atom + lower, self.atom + upper, "wilson_bootstrap_t")


@dataclass(frozen=True, slots=True, eq=False)
class Betting:
    """Betting interval of a bounded mean, or of a ratio of means whose parts are bounded."""

    score: Measured

    def contrasts(self) -> tuple[ArmContrast, ...]:
        """Nothing."""
        return ()

    def limits(self, found: Sequence[Studentised | None], tail: float) -> Limits | None:  # noqa: ARG002  # as the protocol says
        """Makes the interval; None if no mean is left."""
        ends = self.score.betting_limits(tail)
        return None if ends is None else Limits(*ends, "betting")
