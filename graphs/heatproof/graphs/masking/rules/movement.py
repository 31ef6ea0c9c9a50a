"""Masks of operators that move cells along axes, told by what each cell of the result reads."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import Mask, Spatial
from heatproof.graphs.operators.windows import Incidence

NOTHING = -1
"""The place that a cell reads which holds no part of the image."""


def moved(state: Spatial, lines: Mapping[int, Incidence], scope: Scope, node: ir.Node) -> Mask:
    """The mask of a tensor whose cells read these places along the given axes, by the axis."""
    if lines and state.axes.merged:
        raise scope.refusal(node, "it moves cells of an axis that holds rows and columns")
    whole = identities(state)
    rows, columns = (
        np.ones((1, 1), bool) if axis is None else lines.get(axis, whole[axis])
        for axis in (state.axes.height, state.axes.width)
    )
    return scope.masks.reading(state.mask, rows, columns)


def identities(state: Spatial) -> dict[int, Incidence]:
    """By spatial axis: each cell reads its own place."""
    sizes = state.axes.sizes(state.mask)
    return {axis: np.eye(size, dtype=bool) for axis, size in sizes.items()}


def places(indices: Sequence[int], length: int) -> Incidence:
    """Each cell reads the one place of this index, or `NOTHING`."""
    lines: Incidence = np.asarray(indices)[:, None] == np.arange(length)
    return lines


def field_span(lines: Incidence) -> int:
    """Cells from the first to the last that a cell of the result reads, at most, less one."""
    read = lines[lines.any(axis=1)]
    if not read.size:
        return 0
    lasts = read.shape[1] - 1 - read[:, ::-1].argmax(axis=1)
    return int(np.max(lasts - read.argmax(axis=1)))
