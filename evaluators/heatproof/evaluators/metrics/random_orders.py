"""Deletion curves in random orders: what the metrics of occlusion robustness share."""

from typing import Final

import numpy as np

from heatproof.evaluators.catalogue import Need
from heatproof.evaluators.cells import Order
from heatproof.evaluators.curves import Trace, Track, deletion_curve
from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.procedure import Procedure
from heatproof.evaluators.scene import Scene

MIN_MASKED_CELL: Final = 16
"""Smaller cells vanish from the last masks of a layer-masked network, wherever they lie."""


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


def relative_curve(scene: Scene, track: Track, order: Order) -> Procedure[Trace]:
    """Deletion relative to the clean image's probability."""
    trace = yield from deletion_curve(scene, track, order)
    return trace.over(scene.confidence)


def mean_random_curve(scene: Scene, track: Track, orders: int) -> Procedure[Trace]:
    """The mean of the relative deletion curves in `orders` random orders; its area is RA."""
    total = np.zeros(track.steps + 1)
    zero_coverage = 0
    for index in range(orders):
        order = random_order(scene, track, f"order/{index}")
        trace = yield from relative_curve(scene, track, order)
        total += trace.values
        zero_coverage += trace.zero_coverage
    return Trace(track.counts / track.grid.cells, total / orders, zero_coverage)
