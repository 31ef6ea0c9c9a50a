"""Differences of two models' values on the same units, with intervals and tests.

| value | interval of the difference | test |
|---|---|---|
| proportion | Newcombe's of paired proportions | exact McNemar |
| mean, ratio of means or sum of such ratios, no atoms | bootstrap-t | sign flips |
| bounded mean with atoms, proportion over groups | betting | sign flips |
| ratio of means with atoms | none | sign flips |
| value of the set, such as an entropy | none | none |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from heatproof.evaluators.comparison.values import Lack, Missing, ModelDifference
from heatproof.evaluators.evaluation.results import Interval
from heatproof.evaluators.evaluation.summaries import LEVEL
from heatproof.evaluators.registry.parameters import Range
from heatproof.evaluators.statistics.arms import ArmContrast
from heatproof.evaluators.statistics.bootstrap import MIN_UNITS, Studentised
from heatproof.evaluators.statistics.intervals import (
    Betting,
    BootstrapT,
    IntervalMethod,
    Limits,
    Measured,
    limits_by,
)
from heatproof.evaluators.statistics.permutation import two_sided_p_values
from heatproof.evaluators.statistics.proportions import (
    Hits,
    mcnemar_p_value,
    paired_difference_interval,
)
from heatproof.evaluators.statistics.reductions import Mean, is_finite

_CELLS: Final = 4_000_000
"""Largest number of units times pairs whose differences are held at a time."""
_EVEN: Final = 0.5
"""Tells the hits of a proportion, which are 1, from the misses."""


@dataclass(frozen=True, slots=True, eq=False)
class ModelValue:
    """What one model has on the shared units.

    Attributes:
        model: its name.
        measured: its values, summed over each unit.
        value: the data set's; None if there is none.
        lack: why there is none.
    """

    model: str
    measured: Measured
    value: float | None
    lack: Missing | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Duel:
    """Two models whose values are compared.

    Attributes:
        first: the model whose value counts positive.
        second: the model whose value is taken off.
        is_tested: whether there is something to test: not of controls.
    """

    first: ModelValue
    second: ModelValue
    is_tested: bool

    @property
    def contrast(self) -> ArmContrast:
        """The difference, unit by unit."""
        return self.first.measured.contrast.minus(self.second.measured.contrast)

    @property
    def units(self) -> int:
        """Units that both have a value of."""
        return self.first.measured.contrast.count

    @property
    def is_of_hits(self) -> bool:
        """Whether both values are shares of units that hit."""
        measured = self.first.measured
        return measured.reduction.is_proportion and not measured.grouped

    def hits(self) -> tuple[Hits, Hits]:
        """On which units either model hits."""
        first, second = self.first.measured.arm, self.second.measured.arm
        rows = first.scored
        return first.numerators[rows] > _EVEN, second.numerators[rows] > _EVEN

    def range(self) -> Range:
        """Where the difference lies; an end that is not known is infinite."""
        ends = self.first.measured.reduction.range
        return Range(ends.lower - ends.upper, ends.upper - ends.lower)


def differences_of(
    duels: Sequence[Duel], *, tolerance: float, tests: int, seed: int
) -> list[ModelDifference]:
    """Compares pairs of models, on the same resamples and signs.

    Args:
        duels: over the same units in the same order.
        tolerance: units that differ by no more count as equal in tests.
        tests: over how many tests the p-values will be corrected.
        seed: of resamples and signs.
    """
    if not duels:
        return []
    at_once = max(1, _CELLS // max(1, len(duels[0].first.measured.contrast.scored)))
    return [
        found
        for start in range(0, len(duels), at_once)
        for found in _compared(duels[start : start + at_once], tolerance, tests, seed=seed)
    ]


def _compared(
    duels: Sequence[Duel], tolerance: float, tests: int, *, seed: int
) -> list[ModelDifference]:
    lacks = [_obstacle(duel) for duel in duels]
    sound = [duel for duel, lack in zip(duels, lacks, strict=True) if lack is None]
    limits = iter(limits_by([_method(duel) for duel in sound], seed=seed, level=LEVEL))
    tested = [duel for duel in sound if duel.is_tested]
    p_values = iter(_p_values(tested, tolerance, tests, seed=seed))
    return [
        _untold(duel, lack)
        if lack is not None
        else _told(duel, next(limits), next(p_values) if duel.is_tested else None)
        for duel, lack in zip(duels, lacks, strict=True)
    ]


def _obstacle(duel: Duel) -> Missing | None:
    """Why the data tell neither interval nor test."""
    lack = duel.first.lack or duel.second.lack
    if lack is not None:
        return lack
    measured = duel.first.measured
    if not measured.reduction.is_resampled:
        detail = "a value of the set as a whole: no image has a share in it that could be resampled"
        return Missing(Lack.SET_LEVEL, detail)
    if duel.units < MIN_UNITS:
        name = "groups" if measured.grouped else "images"
        detail = f"{duel.units} shared {name}; at least {MIN_UNITS} are needed"
        return Missing(Lack.TOO_FEW_UNITS, detail)
    return None


def _method(duel: Duel) -> IntervalMethod | None:
    measured, ends = duel.first.measured, duel.range()
    if duel.is_of_hits:
        return Newcombe(duel)
    if not measured.reduction.atoms:
        return BootstrapT(duel.contrast)
    if measured.reduction.is_mean and is_finite(ends):
        bounded = Mean(ends)
        return Betting(Measured(duel.contrast, bounded, measured.grouped, measured.largest))
    return None


@dataclass(frozen=True, slots=True, eq=False)
class Newcombe:
    """Interval of the difference of two proportions of the same units."""

    duel: Duel

    def contrasts(self) -> tuple[ArmContrast, ...]:
        """Nothing."""
        return ()

    def limits(self, found: Sequence[Studentised | None], tail: float) -> Limits | None:  # noqa: ARG002  # as the protocol says
        """Makes the interval."""
        ends = paired_difference_interval(*self.duel.hits(), level=1 - 2 * tail)
        return Limits(*ends, "newcombe")


def _p_values(duels: Sequence[Duel], tolerance: float, tests: int, *, seed: int) -> list[float]:
    """Exact McNemar for hits, sign flips for everything else."""
    flipped = [duel.contrast for duel in duels if not duel.is_of_hits]
    found = iter(two_sided_p_values(flipped, tolerance=tolerance, tests=tests, seed=seed))
    return [
        mcnemar_p_value(*duel.hits(), alternative="two-sided") if duel.is_of_hits else next(found)
        for duel in duels
    ]


def _told(duel: Duel, limits: Limits | None, p_value: float | None) -> ModelDifference:
    interval = None
    if limits is not None:
        cut = limits.within(duel.range())
        interval = Interval(cut.lower, cut.upper, LEVEL, cut.method)
    return ModelDifference(
        first=duel.first.model,
        second=duel.second.model,
        difference=_difference(duel),
        interval=interval,
        p_value=p_value,
        units=duel.units,
        undefined=None if interval is not None else _no_interval(duel),
    )


def _untold(duel: Duel, lack: Missing) -> ModelDifference:
    return ModelDifference(
        first=duel.first.model,
        second=duel.second.model,
        difference=_difference(duel),
        units=duel.units,
        undefined=lack,
    )


def _difference(duel: Duel) -> float | None:
    """A difference of means is the mean of the differences, which loses no digits."""
    if duel.first.value is None or duel.second.value is None:
        return None
    if not duel.first.measured.reduction.is_resampled:
        return duel.first.value - duel.second.value
    found = duel.contrast.estimate()
    return found if np.isfinite(found) else None


def _no_interval(duel: Duel) -> Missing:
    if _method(duel) is None:
        detail = "no interval is known of ratios of which a share of the images has one same value"
        return Missing(Lack.NO_METHOD, detail)
    detail = "the differences are so equal that they do not tell what more images would add"
    return Missing(Lack.NO_SPREAD, detail)
