"""How much of the image one cell of a feature map sees."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from heatproof.graphs.canonical.spatial import PlaneAxes, spatial_axes
from heatproof.graphs.nodes.constants import constant_operand
from heatproof.graphs.operators.traits import Trait, has
from heatproof.graphs.operators.windows import Incidence, Pair, transposed_lines, window_of

LineBounds: TypeAlias = NDArray[np.int64]
"""[cells, 2]: the first and last row (or column) of the image that each cell sees."""

FieldBounds: TypeAlias = tuple[LineBounds, LineBounds]
"""Of rows and of columns."""


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

    The model is prepared and of static size. Followed are windows, resampling and what moves
    cells. Not counted are gates and statistics of norms, although they see the whole image.
    Tensors whose cells cannot be followed, such as those behind attention, are left out.
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
    if node.op_type in _RULES:
        if operand not in bounds:
            return None
        held = _RULES[node.op_type](_Geometry(node, axes[operand], before, after))
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
    far = np.iinfo(np.int64).max // 4
    first = np.where(held, lines[:, 0], far).min(axis=1)
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

    def constants(self, index: int, attribute: str) -> list[int] | None:
        """Whole numbers that newer versions take as an input and older ones as an attribute."""
        array = constant_operand(self.node, index)
        if array is not None:
            return [int(number) for number in array.reshape(-1)]
        return list(self.node.attributes.get_ints(attribute, ())) or None


_Held: TypeAlias = tuple[Incidence, Incidence]


def _windows(at: _Geometry) -> _Held | None:
    """The cells of a convolution's or pool's windows."""
    kernel = _kernel(at.node)
    window = kernel and window_of(at.node, at.before, kernel)
    if not window or window.target != at.after:
        return None
    return window.incidence(0), window.incidence(1)


def _kernel(node: ir.Node) -> Pair | None:
    weights = node.inputs[3 if node.op_type == "QLinearConv" else 1] if node.inputs[1:] else None
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
    """The neighbours that an interpolation weighs; an antialiased one has more and is unknown."""
    node = at.node
    if node.attributes.get_int("antialias", 0):
        return None
    mode = node.attributes.get_string("mode", "nearest")
    legacy = node.op_type == "Upsample"
    place = node.attributes.get_string(
        "coordinate_transformation_mode", "asymmetric" if legacy else "half_pixel"
    )
    if place not in _PLACES or mode not in _NEIGHBORS:
        return None

    def weighed(i: int) -> Incidence:
        position = _PLACES[place](np.arange(at.after[i]), at.before[i], at.after[i])
        cells = np.arange(at.before[i])
        if mode == "nearest":
            rounding = node.attributes.get_string(
                "nearest_mode", "floor" if legacy else "round_prefer_floor"
            )
            nearest = np.clip(_ROUNDINGS[rounding](position), 0, at.before[i] - 1)
            same: Incidence = nearest[:, None] == cells
            return same
        neighbors = _NEIGHBORS[mode]
        lowest = np.clip(np.floor(position) - (neighbors - 1), 0, at.before[i] - 1)
        highest = np.clip(np.ceil(position) + (neighbors - 1), 0, at.before[i] - 1)
        held: Incidence = (cells >= lowest[:, None]) & (cells <= highest[:, None])
        return held

    return weighed(0), weighed(1)


_Position: TypeAlias = NDArray[np.float64]
_PLACES: Mapping[str, Callable[[NDArray[np.int64], int, int], _Position]] = MappingProxyType(
    {
        "half_pixel": lambda o, before, after: (o + 0.5) * before / after - 0.5,
        "pytorch_half_pixel": lambda o, before, after: (
            (o + 0.5) * before / after - 0.5 if after > 1 else np.zeros(1)
        ),
        "asymmetric": lambda o, before, after: o * before / after,
        "align_corners": lambda o, before, after: o * (before - 1) / max(after - 1, 1),
    }
)
_ROUNDINGS: Mapping[str, Callable[[_Position], _Position]] = MappingProxyType(
    {
        "round_prefer_floor": lambda position: np.ceil(position - 0.5),
        "round_prefer_ceil": lambda position: np.floor(position + 0.5),
        "floor": np.floor,
        "ceil": np.ceil,
    }
)
_NEIGHBORS: Mapping[str, int] = MappingProxyType({"nearest": 0, "linear": 1, "cubic": 2})


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
    pads = at.constants(1, "pads")
    axes = (constant_operand(at.node, 3) if at.node.inputs[3:] else None) if pads else None
    if pads is None or axes is not None or len(pads) != 8:
        return None
    return _moved(at, [-pads[axis] for axis in at.axes], (1, 1))


def _sliced(at: _Geometry) -> _Held | None:
    """The cells from a start on, in steps."""
    starts, axes = at.constants(1, "starts"), at.constants(3, "axes")
    steps = at.constants(4, "steps") if at.node.inputs[4:] else None
    if starts is None:
        return None
    axes = [axis % 4 for axis in axes or range(len(starts))]
    begins, strides = [0, 0], [1, 1]
    for axis, start, step in zip(axes, starts, steps or [1] * len(starts), strict=True):
        if axis in at.axes:
            i = at.axes.index(axis)
            begin = start if start >= 0 else start + at.before[i]
            begins[i] = min(max(begin, 0), at.before[i] - 1)
            strides[i] = step
    return _moved(at, begins, strides)


def _moved(at: _Geometry, begins: Sequence[int], strides: Sequence[int]) -> _Held:
    def held(i: int) -> Incidence:
        cells = np.arange(at.after[i]) * strides[i] + begins[i]
        same: Incidence = cells[:, None] == np.arange(at.before[i])
        return same

    return held(0), held(1)


_RULES: Mapping[str, Callable[[_Geometry], _Held | None]] = MappingProxyType(
    {
        **dict.fromkeys(("Conv", "ConvInteger", "FusedConv", "QLinearConv"), _windows),
        **dict.fromkeys(("AveragePool", "LpPool", "MaxPool"), _windows),
        "ConvTranspose": _transposed,
        **dict.fromkeys(("Resize", "Upsample"), _resized),
        **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), _blocks),
        "Pad": _padded,
        "Slice": _sliced,
    }
)
