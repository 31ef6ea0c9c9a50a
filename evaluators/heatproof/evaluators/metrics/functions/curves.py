"""Curves of the class probability as cells are removed or added, and their areas.

Deletion, insertion and all metrics of section "occlusion" share this engine.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.outcomes import Curve, Reason, Undefined
from heatproof.evaluators.queries.procedure import Procedure, Readout, respond
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.regions.grid import GridCells, Order, ranks
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, UNIT, Range
from heatproof.evaluators.removal.operator import RemovalOperator

MIN_CONFIDENCE: Final = 1e-3
"""Below this probability of the clean image, relative curves are noise over noise."""


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
        """Where the area of a curve lies."""
        return UNIT if self is CurveScale.PROBABILITY else NOT_NEGATIVE


@dataclass(frozen=True, slots=True, eq=False)
class PerturbationCurve:
    """A curve with what is known about its points.

    Attributes:
        fractions: share of the cells removed or added, ascending from 0 to 1.
        values: the class probability there.
        zero_coverage: points at which the model saw nothing at all.
    """

    fractions: Float64[np.ndarray, "points"]
    values: Float64[np.ndarray, "points"]
    zero_coverage: int

    @property
    def area(self) -> float:
        """Area by the trapezoid rule."""
        return float(np.trapezoid(self.values, self.fractions))

    def over(self, divisor: float) -> "PerturbationCurve":
        """The curve divided by a number."""
        return PerturbationCurve(self.fractions, self.values / divisor, self.zero_coverage)

    def curve(self) -> Curve:
        """The curve as a result."""
        return Curve(tuple(self.fractions.tolist()), tuple(self.values.tolist()))


@dataclass(frozen=True, slots=True)
class Schedule:
    """How curves are drawn: the cells, steps and operator that all curves of a metric share."""

    grid: GridCells
    steps: int
    removal: RemovalOperator

    @property
    def counts(self) -> Int64[np.ndarray, "points"]:
        """Cells removed or added at each of the `steps + 1` points."""
        return np.arange(self.steps + 1, dtype=np.int64) * self.grid.cells // self.steps

    def check(self) -> None:
        """Refuses cells smaller than a pixel and more steps than cells.

        Raises:
            InvalidArgumentError: at `grid` or `steps`.
        """
        self.grid.check()
        if self.steps > self.grid.cells:
            raise InvalidArgumentError(
                f"steps is {self.steps}, but a grid of {self.grid.side} has {self.grid.cells} "
                "cells: take fewer steps or a finer grid",
                field="steps",
            )


def deletion_curve(
    sample: Sample, schedule: Schedule, order: Order, read: Readout | None = None
) -> Procedure[PerturbationCurve]:
    """Removes cells from the clean image in order; reads the probability unless told what."""
    places = ranks(order)
    masks = (places >= count for count in schedule.counts)
    return _drawn(sample, schedule, masks, read or sample.probability)


def insertion_curve(
    sample: Sample, schedule: Schedule, order: Order
) -> Procedure[PerturbationCurve]:
    """Adds cells to the empty image in order."""
    places = ranks(order)
    masks = (places < count for count in schedule.counts)
    return _drawn(sample, schedule, masks, sample.probability)


def _drawn(
    sample: Sample, schedule: Schedule, masks: Iterator[np.ndarray], read: Readout
) -> Procedure[PerturbationCurve]:
    views = (sample.view(schedule.grid.spread(visible), schedule.removal) for visible in masks)
    found = yield from respond(views, read)
    return PerturbationCurve(
        schedule.counts / schedule.grid.cells, found.values, found.zero_coverage
    )


def low_confidence(sample: Sample) -> Undefined | None:
    """Why relative curves of the sample mean nothing, if they do."""
    if sample.confidence >= MIN_CONFIDENCE:
        return None
    detail = f"the clean image has {sample.target} at {sample.confidence:.2g} only"
    return Undefined(Reason.NO_CONFIDENCE, detail)
