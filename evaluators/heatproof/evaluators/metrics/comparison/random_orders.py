"""Deletion curves in random orders: what the metrics of occlusion robustness share."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.metrics.faithfulness.curves import Trace, Track, deletion_curve
from heatproof.evaluators.queries.procedure import Procedure, Reading
from heatproof.evaluators.queries.sample import Scene
from heatproof.evaluators.regions.grid import Order
from heatproof.evaluators.registry.registry import Need

MIN_MASKED_CELL: Final = 16
"""Smaller cells vanish from the last masks of a layer-masked network, wherever they lie."""


@dataclass(frozen=True, slots=True, eq=False)
class RandomCurves:
    """What deletion in random orders does to one image.

    Attributes:
        mean: the mean curve; its area is RA.
        standard_error: of RA over the orders.
        marginal_drops: mean fall of the curve where a cell was removed; cells that were removed
            together share the fall of their step.
    """

    mean: Trace
    standard_error: float
    marginal_drops: Float64[np.ndarray, "cells"]


def check_cells(track: Track) -> None:
    """Refuses what the track refuses, and with layer masking cells under 16 pixels.

    Raises:
        InvalidArgumentError: at `grid` or `steps`.
    """
    track.check()
    smallest = track.grid.smallest
    if Need.LAYER_MASKING in track.removal.needs and smallest < MIN_MASKED_CELL:
        coarsest = min(track.grid.height, track.grid.width) // MIN_MASKED_CELL
        raise InvalidArgumentError(
            f"a grid of {track.grid.side} has cells of {smallest} pixels, under {MIN_MASKED_CELL}: "
            f"with {track.removal.name} they vanish inside the network; at most {coarsest}",
            field="grid",
        )


def random_order(scene: Scene, track: Track, purpose: str) -> Order:
    """Draws an order: the same for all models, explainers and operators."""
    return scene.rng(purpose).permutation(track.grid.cells)


def random_curves(
    scene: Scene, track: Track, orders: int, read: Reading | None = None
) -> Procedure[RandomCurves]:
    """Deletes cells in `orders` random orders, at least 2 of them."""
    total = np.zeros(track.steps + 1)
    drops = np.zeros(track.grid.cells)
    areas: list[float] = []
    zero_coverage = 0
    for index in range(orders):
        order = random_order(scene, track, f"order/{index}")
        trace = yield from deletion_curve(scene, track, order, read)
        total += trace.values
        drops += _drops(track, order, trace)
        areas.append(trace.area)
        zero_coverage += trace.zero_coverage
    mean = Trace(track.counts / track.grid.cells, total / orders, zero_coverage)
    error = float(np.std(areas, ddof=1) / np.sqrt(orders))
    return RandomCurves(mean, error, drops / orders)


def _drops(track: Track, order: Order, trace: Trace) -> Float64[np.ndarray, "cells"]:
    """The fall of a curve at the removal of each cell."""
    sizes = np.diff(track.counts)
    drops = np.empty(track.grid.cells)
    drops[order] = np.repeat(-np.diff(trace.values) / sizes, sizes)
    return drops
