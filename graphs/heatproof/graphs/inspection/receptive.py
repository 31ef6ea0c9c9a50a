"""How much of the image one cell of a feature map sees.

The masks of layer masking do not tell it: where branches meet they are visible only where all of
them are, so that a residual network would seem to see little more than its shortcuts do.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from heatproof.graphs.canonical.spatial import PlaneAxes, spatial_axes
from heatproof.graphs.masking.slices import slices_of
from heatproof.graphs.operators import families as of
from heatproof.graphs.operators.pads import pads_of
from heatproof.graphs.operators.products import kernel_of
from heatproof.graphs.operators.resizing import neighbors
from heatproof.graphs.operators.traits import Trait, has
from heatproof.graphs.operators.windows import Incidence, Pair, transposed_lines, window_of

LineBounds: TypeAlias = NDArray[np.int64]
"""[cells, 2]: the first and last row (or column) of the image that each cell sees."""

FieldBounds: TypeAlias = tuple[LineBounds, LineBounds]
"""Of rows and of columns."""

_RANK = 4  # of feature maps
_FAR = np.iinfo(np.int64).max // 4
"""Beyond any cell."""


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """What one cell of a feature map sees of the image, from the first to the last.

    Attributes:
        height: rows of the image.
        width: columns of the image.
    """

    height: int
    width: int


def receptive_fields(model: ir.Model) -> Mapping[str, ReceptiveField]:
    """Image rows and columns that a cell depends on, by tensor: the most of any cell.

    The model is prepared, of static size and of opset 11 or later. Followed are windows, resampling
    and what moves cells. Not counted are gates and statistics of norms, although they see the whole
    image. Tensors whose cells cannot be followed, such as those behind attention, are left out.
    """
    axes = spatial_axes(model)
    bounds: dict[ir.Value | None, FieldBounds] = {}
    for value in model.graph.inputs:
        if value in axes and (size := _size(value, axes[value])):
            bounds[value] = (_each(size[0]), _each(size[1]))
    for node in model.graph:
        for value in node.outputs:
            found = _seen(node, value, axes, bounds)
            if found is not None:
                bounds[value] = found
    return {
        value.name or "": ReceptiveField(*map(_longest, found))
        for value, found in bounds.items()
        if value is not None and value in axes
    }


def _each(cells: int) -> LineBounds:
    return np.repeat(np.arange(cells, dtype=np.int64)[:, None], 2, axis=1)


def _longest(lines: LineBounds) -> int:
    return int((lines[:, 1] - lines[:, 0]).max()) + 1


def _size(value: ir.Value | None, axes: PlaneAxes) -> Pair | None:
    if value is None or value.shape is None:
        return None
    rows, columns = value.shape[axes[0]], value.shape[axes[1]]
    return (rows, columns) if isinstance(rows, int) and isinstance(columns, int) else None


def _seen(
    node: ir.Node,
    value: ir.Value,
    axes: Mapping[ir.Value, PlaneAxes],
    bounds: Mapping[ir.Value | None, FieldBounds],
) -> FieldBounds | None:
    """What the cells of an output see; None if that is not known."""
    operand = node.inputs[0] if node.inputs else None
    if operand is None or value not in axes or operand not in axes:
        return _carried(node, value, axes, bounds)
    before, after = _size(operand, axes[operand]), _size(value, axes[value])
    if before is None or after is None:
        return None
    rule = _rule_of(node)
    if rule is not None:
        if operand not in bounds:
            return None
        held = rule(_Geometry(node, axes[operand], before, after))
        return held and (
            _through(held[0], bounds[operand][0]),
            _through(held[1], bounds[operand][1]),
        )
    return _united(node, after, axes, bounds)


def _carried(
    node: ir.Node,
    value: ir.Value,
    axes: Mapping[ir.Value, PlaneAxes],
    bounds: Mapping[ir.Value | None, FieldBounds],
) -> FieldBounds | None:
    """What a view of a map sees: its axes are apart until another view brings them together."""
    operand = node.inputs[0] if node.inputs else None
    found = bounds.get(operand)
    if found is None or operand is None:
        return _united(node, _size(value, axes[value]), axes, bounds) if value in axes else None
    if value in axes and _size(value, axes[value]) != (len(found[0]), len(found[1])):
        return None
    keeps_places = value.shape is not None and value.shape == operand.shape
    is_view = has(node, Trait.VIEW) or (keeps_places and not has(node, Trait.PRODUCT))
    return found if is_view else None


def _united(
    node: ir.Node,
    size: Pair | None,
    axes: Mapping[ir.Value, PlaneAxes],
    bounds: Mapping[ir.Value | None, FieldBounds],
) -> FieldBounds | None:
    """What any operand sees at the same place; operands of one cell are gates."""
    maps = [operand for operand in node.inputs if operand in axes and operand is not None]
    maps = [operand for operand in maps if _size(operand, axes[operand]) == size]
    if not maps or not all(operand in bounds for operand in maps):
        return None
    rows, columns = (np.stack([bounds[operand][axis] for operand in maps]) for axis in (0, 1))
    return _hull(rows), _hull(columns)


def _hull(bounds: NDArray[np.int64]) -> LineBounds:
    hull: LineBounds = np.stack([bounds[..., 0].min(axis=0), bounds[..., 1].max(axis=0)], axis=1)
    return hull


def _through(held: Incidence, lines: LineBounds) -> LineBounds:
    """What windows see whose cells see `lines`; one that holds no cell sees nothing."""
    first = np.where(held, lines[:, 0], _FAR).min(axis=1)
    last = np.where(held, lines[:, 1], -1).max(axis=1)
    return np.stack([first, last], axis=1)


@dataclass(frozen=True, slots=True)
class _Geometry:
    """A node that moves or mixes cells.

    Attributes:
        node: the node.
        axes: where rows and columns lie in its first operand.
        before: height and width of that.
        after: height and width of the result.
    """

    node: ir.Node
    axes: PlaneAxes
    before: Pair
    after: Pair


_Held: TypeAlias = tuple[Incidence, Incidence]


def _windows(at: _Geometry) -> _Held | None:
    """The cells of a convolution's or pool's windows."""
    kernel = _kernel(at.node)
    window = kernel and window_of(at.node, at.before, kernel)
    if not window or window.target != at.after:
        return None
    return window.incidence(0), window.incidence(1)


def _kernel(node: ir.Node) -> Pair | None:
    weights = kernel_of(node)
    shape = () if weights is None or weights.shape is None else weights.shape
    sizes = node.attributes.get_ints("kernel_shape", ()) or shape[2:]
    return (int(sizes[0]), int(sizes[1])) if len(sizes) == 2 else None  # type: ignore[arg-type] # static


def _transposed(at: _Geometry) -> _Held | None:
    """The cells that each cell of a transposed convolution reads."""
    kernel = _kernel(at.node)
    if kernel is None:
        return None
    rows, columns = (transposed_lines(at.node, i, at.before[i], kernel[i]) for i in (0, 1))
    return (rows, columns) if (len(rows), len(columns)) == at.after else None


def _resized(at: _Geometry) -> _Held | None:
    """The neighbors that an interpolation weighs; sizes that ONNX misjudges are unknown."""
    opset = at.node.graph.opset_imports[""] if at.node.graph else 0
    try:
        rows, columns = (neighbors(at.node, axis, opset) for axis in at.axes)
    except LookupError:
        return None
    return (rows, columns) if (len(rows), len(columns)) == at.after else None


def _blocks(at: _Geometry) -> _Held:
    """Blocks of cells become channels of one cell, or the other way round."""

    def held(i: int) -> Incidence:
        o, cells = np.arange(at.after[i])[:, None], np.arange(at.before[i])
        shared: Incidence = o * at.before[i] // at.after[i] == cells
        if at.before[i] > at.after[i]:
            shared = cells * at.after[i] // at.before[i] == o
        return shared

    return held(0), held(1)


def _padded(at: _Geometry) -> _Held | None:
    """The same cells farther back; a reflected border sees less than what lies beside it."""
    pads = pads_of(at.node)
    if pads is None:
        return None
    return _moved(at, [range(-pads.begins[axis], _FAR) for axis in at.axes])


def _sliced(at: _Geometry) -> _Held | None:
    """The cells from a start on, in steps."""
    slices = slices_of(at.node, _RANK)
    if slices is None:
        return None
    whole = slice(None)
    lines = [range(at.before[i])[slices.get(axis, whole)] for i, axis in enumerate(at.axes)]
    return _moved(at, lines)


def _moved(at: _Geometry, lines: Sequence[range]) -> _Held:
    """Each cell of the result is one cell, or lies outside and sees nothing."""

    def held(i: int) -> Incidence:
        cells = np.asarray(lines[i][: at.after[i]])
        same: Incidence = cells[:, None] == np.arange(at.before[i])
        return same

    return held(0), held(1)


_BY_TYPE: Mapping[str, Callable[[_Geometry], _Held | None]] = MappingProxyType(
    {
        "ConvTranspose": _transposed,
        "Resize": _resized,
        **dict.fromkeys(of.BLOCK_MOVES, _blocks),
        "Pad": _padded,
        "Slice": _sliced,
    }
)
"""What moves cells; what slides a window says so by its trait."""


def _rule_of(node: ir.Node) -> Callable[[_Geometry], _Held | None] | None:
    return _BY_TYPE.get(node.op_type) or (_windows if has(node, Trait.WINDOW) else None)
