"""Masks that leave hidden and visible cells at every depth of a model."""

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx_ir.passes import common

from heatproof.graphs.masking.rewriting import MASK_INPUT, Rewrite
from heatproof.graphs.masking.states import Mask
from tests.masking.instruments import masks_of
from tests.masking.sessions import Run, opened

Array = NDArray[Any]
_SHARES = (8, 6, 5, 4, 3, 2)
"""Of the image's side that a box may take, the smallest first."""


def telling_masks(rewrite: Rewrite, size: int, batch: int) -> Array | None:
    """Masks [batch, 1, size, size], each of one visible box; None if no box tells at every depth.

    Convolutions let boxes grow, strides let them vanish; maps of one cell cannot tell anything.
    The rewrite is of no further use.
    """
    run, masks = _pyramid(rewrite)
    found: list[Array] = []
    for box in _boxes(size):
        if _tells(run, masks, box):
            found.append(box)
        if len(found) == batch:
            return np.concatenate(found)
    return np.concatenate(found * batch) if found else None


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


def _tells(run: Run, masks: list[Mask], box: Array) -> bool:
    results = run(**{MASK_INPUT: box})
    cells = [results[mask.value.name or ""] for mask in masks]
    return all((one == 0).any() and (one == 1).any() for one in cells)
