"""Deletion curves in random orders: what the metrics of occlusion robustness share."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.functions.curves import (
    PerturbationCurve,
    Schedule,
    check_grid,
    deletion_curve,
)
from heatproof.evaluators.metrics.metric import Metric
from heatproof.evaluators.queries.procedure import Procedure, Readout
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.regions.grid import GridCells, Order
from heatproof.evaluators.regions.segmentation import MIN_MASKED_CELL
from heatproof.evaluators.registry.parameters import Range, at_most, parameter
from heatproof.evaluators.removal.operator import RemovalOperator


@dataclass(frozen=True, slots=True, eq=False)
class RandomCurves:
    """What deletion in random orders does to one image.

    Attributes:
        mean: the mean curve; its area is RA.
        standard_error: of RA over the orders.
        marginal_drops: mean fall of the curve where a cell was removed; cells that were removed
            together share the fall of their step.
    """

    mean: PerturbationCurve
    standard_error: float
    marginal_drops: Float64[np.ndarray, "cells"]


def check_cells(grid: GridCells, steps: int, removal: RemovalOperator) -> None:
    """Refuses what a curve over the cells refuses, and with layer masking cells under 16 pixels.

    Raises:
        InvalidArgumentError: at `grid` or `steps`.
    """
    check_grid(grid, steps)
    if removal.masking is not None and grid.smallest < MIN_MASKED_CELL:
        coarsest = min(grid.height, grid.width) // MIN_MASKED_CELL
        raise InvalidArgumentError(
            f"a grid of {grid.side} has cells of {grid.smallest} pixels, under "
            f"{MIN_MASKED_CELL}: with {removal.name} they vanish inside the network; "
            f"{at_most(coarsest, least=2, otherwise='choose an operator that paints pixels')}",
            field="grid",
        )


@dataclass(frozen=True, slots=True)
class RandomOrdersMetric(Metric):
    """What metrics share that rest on deletion in random orders."""

    grid: int = parameter(14, "Cells along each side of the image.", within=Range(2, 64))
    steps: int = parameter(28, "Steps of the curve; at most the cells.", within=Range(1, 1000))
    orders: int = parameter(10, "Number of random orders.", within=Range(10, 1000))

    def check(self, case: Case) -> None:
        """Refuses cells that are too small and more steps than cells."""
        check_cells(case.grid(self.grid), self.steps, case.removal)

    def _schedule(self, case: Case) -> Schedule:
        return Schedule.even(case.grid(self.grid), self.steps, case.removal)


def random_order(sample: Sample, schedule: Schedule, purpose: str) -> Order:
    """Draws an order: the same for all models, explainers and operators."""
    return sample.rng(purpose).permutation(schedule.regions.cells)


def random_curves(
    sample: Sample, schedule: Schedule, orders: int, read: Readout | None = None
) -> Procedure[RandomCurves]:
    """Deletes cells in `orders` random orders, at least 2 of them."""
    total = np.zeros(len(schedule.counts))
    drops = np.zeros(schedule.regions.cells)
    areas: list[float] = []
    zero_coverage = 0
    for index in range(orders):
        order = random_order(sample, schedule, f"order/{index}")
        trace = yield from deletion_curve(sample, schedule, order, read)
        total += trace.values
        drops += _drops(schedule, order, trace)
        areas.append(trace.area)
        zero_coverage += trace.zero_coverage
    mean = PerturbationCurve(schedule.fractions, total / orders, zero_coverage)
    error = float(np.std(areas, ddof=1) / np.sqrt(orders))
    return RandomCurves(mean, error, drops / orders)


def _drops(
    schedule: Schedule, order: Order, trace: PerturbationCurve
) -> Float64[np.ndarray, "cells"]:
    """The fall of a curve at the removal of each cell."""
    sizes = np.diff(schedule.counts)
    drops = np.empty(schedule.regions.cells)
    drops[order] = np.repeat(-np.diff(trace.values) / sizes, sizes)
    return drops
