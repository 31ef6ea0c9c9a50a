"""Tells a graph that draws its rows what they show: each image once, masks by their cells."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import onnxruntime as ort
from jaxtyping import Bool, Int32
from numpy.typing import NDArray

from heatproof.evaluators.images.arrays import ImageOrColour, Masks
from heatproof.evaluators.images.compositions import Composition
from heatproof.graphs.composition import (
    BEHIND,
    BEHIND_OF_ROW,
    IMAGE_OF_ROW,
    IMAGES,
    PROPAGATED,
    SHOWN,
    MaskInputs,
)
from heatproof.graphs.runtime.backends.network import Feed

Places: TypeAlias = Int32[np.ndarray, "places"]

KEPT_BYTES: Final = 128 << 20
"""Images that stay on a device: 64 of 224 x 224 pixels, with a backdrop each, are 77 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class _Stack:
    """What lies on a device, with the arrays that it was made of: no other may get their ids."""

    tensor: ort.OrtValue
    images: tuple[ImageOrColour, ...]


class DeviceImages:
    """Images where a network runs: an array is handed over once, however many batches show it.

    What was shown least recently leaves first; what a run reads stays until that ends. Equal arrays
    are not one: whoever makes an image anew is asked to hand it over again. Safe for threads.

    Args:
        device: kind of device, as ONNX Runtime names it: `cpu` or `cuda`.
        most_bytes: bytes that stay there.
    """

    def __init__(self, device: str, most_bytes: int = KEPT_BYTES) -> None:
        self._device = device
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[int, ...], _Stack] = OrderedDict()
        self._bytes = 0

    def stacked(self, images: Sequence[ImageOrColour]) -> ort.OrtValue:
        """The images in one tensor; colours stay single pixels unless there are others."""
        key = tuple(map(id, images))
        with self._lock:
            if key not in self._kept:
                self._keep(key, images)
            self._kept.move_to_end(key)
            return self._kept[key].tensor

    def _keep(self, key: tuple[int, ...], images: Sequence[ImageOrColour]) -> None:
        stack = np.stack(np.broadcast_arrays(*images)).astype(np.float32, copy=False)
        tensor = ort.OrtValue.ortvalue_from_numpy(stack, self._device)
        self._kept[key] = _Stack(tensor, tuple(images))
        self._bytes += stack.nbytes
        while self._bytes > self._most_bytes and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.tensor.tensor_size_in_bytes()


def told_rows(rows: Sequence[Composition], held: DeviceImages) -> dict[str, Feed]:
    """The inputs of `graphs.composition.composed` that stand for its images."""
    images, image_of_row = _distinct([row.image for row in rows])
    behind, behind_of_row = _distinct([row.behind for row in rows])
    nothing_hidden = np.ones(rows[0].image.shape[1:], np.bool_)
    masks = np.stack([nothing_hidden if row.mask is None else row.mask for row in rows])
    return {
        IMAGES: held.stacked(images),
        IMAGE_OF_ROW: image_of_row,
        BEHIND: held.stacked(behind),
        BEHIND_OF_ROW: behind_of_row,
        **_told(SHOWN, masks),
    }


def told_masks(masks: Masks) -> dict[str, Feed]:
    """The inputs of `graphs.composition.composed` that stand for a network's own masks."""
    return _told(PROPAGATED, masks)


def _told(names: MaskInputs, masks: Masks) -> dict[str, Feed]:
    cells, rows, columns = cells_of(masks)
    return {names.cells: cells, names.rows: rows, names.columns: columns}


def cells_of(masks: Masks) -> tuple[Bool[np.ndarray, "batch 1 down across"], Places, Places]:
    """Masks by their cells: mask i at (y, x) is `cells[i, 0, rows[y], columns[x]]`.

    Rows and columns of pixels begin a new cell where any of the masks changes, whatever regions
    they were made of. The sides are rounded up to powers of two with cells that no pixel lies in,
    since ONNX Runtime plans memory for each shape anew.

    Returns:
        the cells, the place of the cell for each row of pixels, and for each column.
    """
    rows = _places((masks[:, 1:] != masks[:, :-1]).any(axis=(0, 2)))
    columns = _places((masks[:, :, 1:] != masks[:, :, :-1]).any(axis=(0, 1)))
    down, across = _starts(rows), _starts(columns)
    side = 1 << (max(len(down), len(across)) - 1).bit_length()
    batch, height, width = masks.shape
    cells = np.zeros((batch, 1, min(side, height), min(side, width)), np.bool_)
    cells[:, 0, : len(down), : len(across)] = masks[:, down[:, np.newaxis], across]
    return cells, rows, columns


def _places(changes: Bool[np.ndarray, "borders"]) -> Places:
    """The number of changes before each place."""
    return np.concatenate([[0], np.cumsum(changes)]).astype(np.int32)


def _starts(places: Places) -> NDArray[np.intp]:
    """Where each cell begins."""
    return np.flatnonzero(np.diff(places, prepend=-1))


def _distinct(shown: Sequence[ImageOrColour]) -> tuple[list[ImageOrColour], Places]:
    """What is shown, each once, and the place of each row's among them.

    Their order does not depend on that of the rows, so that neighbours make one stack both ways.
    """
    several = {id(one): one for one in shown}
    places = {key: place for place, key in enumerate(sorted(several))}
    return [several[key] for key in places], np.array([places[id(one)] for one in shown], np.int32)
