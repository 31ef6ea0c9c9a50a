"""Masks that leave hidden and visible cells at every depth of a model."""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx_ir.passes import common

from heatproof.graphs.masking.rewriting import MASK_INPUT, Rewrite
from heatproof.graphs.masking.states import Mask
from tests.graphs.masking.instruments import masks_of
from tests.graphs.sessions import Run, opened

Array = NDArray[Any]
_SHARES = (8, 6, 5, 4, 3, 2)
"""Of the image's side that a box may take, the smallest first."""


@dataclass(frozen=True, slots=True)
class Telling:
    """Masks, and where they can tell.

    Attributes:
        masks: [batch, 1, size, size], each of one visible box.
        maps: number of maps of more than one cell.
        blind: number of those that no box leaves both hidden and visible cells in.
    """

    masks: Array
    maps: int
    blind: int


def telling_masks(rewrite: Rewrite, size: int, batch: int) -> Telling:
    """Masks that leave hidden and visible cells at every depth where any box does.

    Convolutions let boxes grow, strides let them vanish; behind a field of view wider than the
    image nothing is hidden ever. Each box tells everywhere if there are such boxes; else all
    together tell what any box can. The rewrite is of no further use.
    """
    run, masks = _pyramid(rewrite)
    told = [(box, _told(run, masks, box)) for box in _boxes(size)]
    known = set[int]().union(*(places for _, places in told))
    whole = [box for box, places in told if places == known]
    chosen = whole[:batch] or _together(told, batch)
    rows = np.concatenate(list(itertools.islice(itertools.cycle(chosen), batch)))
    return Telling(rows, len(masks), len(masks) - len(known))


def _together(told: list[tuple[Array, set[int]]], batch: int) -> list[Array]:
    """Boxes that tell of the most maps, each the most beyond those before it."""
    chosen: list[Array] = []
    known = set[int]()
    for _ in range(batch):
        box, places = max(told, key=lambda one: len(one[1] - known))
        chosen.append(box)
        known |= places
    return chosen


def _boxes(size: int) -> list[Array]:
    """Boxes of growing size, in corners and off the centre."""
    boxes = []
    for share, (row, column) in itertools.product(_SHARES, ((0, 0), (1, 1), (0, 1), (0.4, 0.5))):
        side = size // share
        top, left = int(row * (size - side)), int(column * (size - side))
        box = np.zeros((1, 1, size, size), np.float32)
        box[..., top : top + side, left : left + side] = 1
        boxes.append(box)
    return boxes


def _pyramid(rewrite: Rewrite) -> tuple[Run, list[Mask]]:
    """The part of a rewritten model that computes the masks."""
    masks = [mask for mask in masks_of(rewrite) if mask.size != (1, 1)]
    graph = rewrite.model.graph
    graph.outputs.clear()
    graph.outputs.extend({mask.value: None for mask in masks})
    common.RemoveUnusedNodesPass()(rewrite.model)
    for value in [value for value in graph.inputs if not value.uses()]:
        graph.inputs.remove(value)
    assert [value.name for value in graph.inputs] == [MASK_INPUT]
    return opened(rewrite.model, checked=False), masks


def _told(run: Run, masks: list[Mask], box: Array) -> set[int]:
    """Which masks have both hidden and visible cells."""
    results = run(**{MASK_INPUT: box})
    cells = [results[mask.value.name or ""] for mask in masks]
    return {place for place, one in enumerate(cells) if (one == 0).any() and (one == 1).any()}
