"""Curves of what a model says as regions are removed or added in an order, and their areas."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.metrics.functions.subsets import Output
from heatproof.evaluators.outcomes import Curve, Reason, Undefined
from heatproof.evaluators.queries.procedure import MaskedView, Procedure, Readout, respond
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.regions.grid import GridCells, Order, ranks
from heatproof.evaluators.regions.regions import Regions
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, UNIT, Range
from heatproof.evaluators.removal.operator import RemovalOperator

MIN_CONFIDENCE: Final = 1e-3
"""Below this value of the clean image, relative curves are noise over noise."""

_DECIMALS: Final = 9
"""Shares are given in decimals: 0.29 of 100 cells are 29, although 0.29 * 100 < 29 in binary."""

Counts = Int64[np.ndarray, "points"]
"""Regions that are removed or added at each point of a curve."""


class CurveScale(StrEnum):
    """Scalings of a curve before its area is taken."""

    PROBABILITY = "probability"
    RELATIVE = "relative"

    @property
    def unit(self) -> str:
        """What the values of a curve are."""
        relative = self is CurveScale.RELATIVE
        return "share of the clean probability" if relative else "class probability"

    @property
    def range(self) -> Range:
        """Where the area of a curve of probabilities lies."""
        return UNIT if self is CurveScale.PROBABILITY else NOT_NEGATIVE


@dataclass(frozen=True, slots=True, eq=False)
class PerturbationCurve:
    """A curve with what is known about its points.

    Attributes:
        fractions: share of the cells removed or added, ascending.
        values: what was read of the answer there.
        zero_coverage: points at which the model saw nothing at all.
    """

    fractions: Float64[np.ndarray, "points"]
    values: Float64[np.ndarray, "points"]
    zero_coverage: int

    @property
    def area(self) -> float:
        """Area by the trapezoid rule."""
        return float(np.trapezoid(self.values, self.fractions))

    def mean_between(self, start: float, end: float) -> float:
        """Area between two shares over their distance; linear between points."""
        inner = (self.fractions > start) & (self.fractions < end)
        fractions = np.concatenate([[start], self.fractions[inner], [end]])
        values = np.interp(fractions, self.fractions, self.values)
        return float(np.trapezoid(values, fractions) / (end - start))

    def over(self, divisor: float) -> "PerturbationCurve":
        """The curve divided by a number."""
        return PerturbationCurve(self.fractions, self.values / divisor, self.zero_coverage)

    def backwards(self) -> "PerturbationCurve":
        """The curve over the share of the cells that is not removed, or not added."""
        return PerturbationCurve(1 - self.fractions[::-1], self.values[::-1], self.zero_coverage)

    def at(self, fractions: Float64[np.ndarray, "points"]) -> "PerturbationCurve":
        """The curve at other shares, linear between its points."""
        values = np.interp(fractions, self.fractions, self.values)
        return PerturbationCurve(fractions, values, self.zero_coverage)

    def curve(self) -> Curve:
        """The curve as a result."""
        return Curve(tuple(self.fractions.tolist()), tuple(self.values.tolist()))


def even_counts(cells: int, steps: int) -> Counts:
    """`floor(i cells / steps)` for i = 0..steps."""
    return np.arange(steps + 1, dtype=np.int64) * cells // steps


def share_counts(cells: int, shares: Sequence[float]) -> Counts:
    """`floor(t cells)` for each share t."""
    return np.array([_floor(share * cells) for share in shares], np.int64)


def steps_until(steps: int, share: float) -> int:
    """The first of so many even steps by which a share of the cells is reached."""
    return -_floor(-share * steps)


def _floor(number: float) -> int:
    return int(np.floor(np.round(number, _DECIMALS)))


def check_steps(steps: int, cells: int) -> None:
    """Refuses more steps than cells.

    Raises:
        InvalidArgumentError: at `steps`.
    """
    if steps > cells:
        raise InvalidArgumentError(
            f"steps is {steps}, but there are {cells} cells: take fewer steps or more cells",
            field="steps",
        )


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """How curves are drawn: what all curves of a metric on an image share.

    Attributes:
        regions: the cells.
        counts: of cells removed or added.
        removal: how they are removed.
    """

    regions: Regions
    counts: Counts
    removal: RemovalOperator

    @classmethod
    def even(cls, regions: Regions, steps: int, removal: RemovalOperator) -> "Schedule":
        """From no cell to all of them in even steps."""
        return cls(regions, even_counts(regions.cells, steps), removal)

    @property
    def fractions(self) -> Float64[np.ndarray, "points"]:
        """The share of the cells at each point."""
        return np.asarray(self.counts / self.regions.cells)


def check_grid(grid: GridCells, steps: int) -> None:
    """Refuses cells smaller than a pixel and more steps than cells.

    Raises:
        InvalidArgumentError: at `grid` or `steps`.
    """
    grid.check()
    check_steps(steps, grid.cells)


def views_without(sample: Sample, schedule: Schedule, order: Order) -> Iterator[MaskedView]:
    """The clean image without the first cells of an order, for each count."""
    places = ranks(order)
    masks = (places >= count for count in schedule.counts)
    return _views(sample, schedule, masks)


def views_of(sample: Sample, schedule: Schedule, order: Order) -> Iterator[MaskedView]:
    """The image with the first cells of an order alone, for each count."""
    places = ranks(order)
    masks = (places < count for count in schedule.counts)
    return _views(sample, schedule, masks)


def _views(sample: Sample, schedule: Schedule, masks: Iterator[np.ndarray]) -> Iterator[MaskedView]:
    return (sample.view(schedule.regions.spread(mask), schedule.removal) for mask in masks)


def deletion_curve(
    sample: Sample, schedule: Schedule, order: Order, read: Readout | None = None
) -> Procedure[PerturbationCurve]:
    """Removes cells from the clean image in order; reads the probability unless told what."""
    return _drawn(schedule, views_without(sample, schedule, order), read or sample.probability)


def insertion_curve(
    sample: Sample, schedule: Schedule, order: Order, read: Readout | None = None
) -> Procedure[PerturbationCurve]:
    """Adds cells to the empty image in order; reads the probability unless told what."""
    return _drawn(schedule, views_of(sample, schedule, order), read or sample.probability)


def _drawn(
    schedule: Schedule, views: Iterator[MaskedView], read: Readout
) -> Procedure[PerturbationCurve]:
    found = yield from respond(views, read)
    return PerturbationCurve(schedule.fractions, found.values, found.zero_coverage)


def low_confidence(sample: Sample, output: Output = Output.PROBABILITY) -> Undefined | None:
    """Why nothing can be said relative to the clean image's output, if so."""
    clean = output.reading(sample)(sample.clean)
    if clean >= MIN_CONFIDENCE:
        return None
    of_logit = "" if output is Output.PROBABILITY else f" as its {output.value}"
    detail = f"the clean image has {sample.target} at {clean:.2g}{of_logit} only"
    return Undefined(Reason.NO_CONFIDENCE, detail)
