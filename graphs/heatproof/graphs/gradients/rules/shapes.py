"""Gradients of operators that only move elements."""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from heatproof.graphs.gradients.broadcasting import known_sizes, shaped_as, summed_to
from heatproof.graphs.gradients.emitter import GradientEmitter
from heatproof.graphs.gradients.table import GRADIENTS, Gradients, by_input, constant_of, first
from heatproof.graphs.operators.emitter import Attribute, Attributes


@by_input(
    {
        "Reshape": (5, 13, 14, 19, 21, 23, 24, 25),
        "Flatten": (11, 13, 21, 23, 24, 25),
        "Squeeze": (11, 13, 21, 23, 24, 25),
        "Unsqueeze": (11, 13, 21, 23, 24, 25),
    }
)
def reshape(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Back to the shape of x."""
    return shaped_as(first(node), gradient, op)


@by_input({"Transpose": (1, 13, 21, 23, 24, 25)})
def transpose(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """The inverse permutation."""
    rank = len(known_sizes(first(node), op))
    order = node.attributes.get_ints("perm") or range(rank)[::-1]
    return op("Transpose", gradient, perm=[int(axis) for axis in np.argsort(order)])


@by_input({"Expand": (8, 13)})
def expand(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Sums over the copies."""
    return summed_to(first(node), gradient, node.outputs[0].shape, op)


@GRADIENTS.family({"Concat": (11, 13)})
def concat(node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:
    """Each input gets its stretch of dy."""
    axis = node.attributes.get_int("axis", 1)
    operands = [value for value in node.inputs if value is not None]
    lengths = [known_sizes(value, op)[axis] for value in operands]
    static = [length for length in lengths if length is not None]
    count, (gradient,) = len(lengths), gradients
    if op.opset < 13:  # Split takes its lengths as an input from opset 13
        if len(static) < count:
            raise op.refusal(f"axis {axis} of an operand has a dynamic size before opset 13")
        return op.several("Split", gradient, outputs=count, axis=axis, split=static)
    if len(static) == count:
        given = op.integers(*static)
    else:
        given = op("Concat", *(length_of(value, axis, op) for value in operands), axis=0)
    return op.several("Split", gradient, given, outputs=count, axis=axis)


@GRADIENTS.family({"Split": (11, 13, 18)})
def split(node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:
    """Joins the gradients of the parts, zero where a part is not used."""
    parts = [
        _zeros_like(out, op) if gradient is None else gradient
        for out, gradient in zip(node.outputs, gradients, strict=True)
    ]
    return [op("Concat", *parts, axis=node.attributes.get_int("axis", 0))]


def _zeros_like(value: ir.Value, op: GradientEmitter) -> ir.Value:
    return op("Expand", 0.0, op("Shape", value))


@by_input({"Slice": (11, 13)})
def slicing(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Puts dy back in its places, zeros elsewhere."""
    x = first(node)
    starts, ends, axes, steps = _slice_parameters(node, op)
    total, rank = gradient, len(known_sizes(x, op))
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        length = known_sizes(x, op)[axis]
        if start == 0 and step == 1 and end >= np.iinfo(np.int32).max:
            continue
        if length is None:
            total = _unsliced(x, total, (start, end, step), axis, op)
            continue
        kept = np.arange(length)[slice(*_python_slice(start, end, step))]
        total = scattered(total, kept, length, (axis, rank), op)
    return total


def _unsliced(
    x: ir.Value, gradient: ir.Value, taken: tuple[int, int, int], axis: int, op: GradientEmitter
) -> ir.Value:
    """Puts dy back along an axis whose length is known when the graph runs."""
    length, rank = length_of(x, axis, op), len(known_sizes(x, op))
    zero, one = (op.constant(np.array(n, np.int64)) for n in (0, 1))
    every = op("Range", zero, op.over("Squeeze", length, [0]), one)
    start, end, step = (op.integers(n) for n in taken)
    kept = op("Slice", every, start, end, op.integers(0), step)
    return scattered_at_run_time(gradient, (kept, 1), length, (axis, rank), op)


def _slice_parameters(node: ir.Node, op: GradientEmitter) -> tuple[Sequence[int], ...]:
    rank = len(known_sizes(first(node), op))
    inputs = (*node.inputs, None, None)[1:5]
    starts, ends = ([int(n) for n in constant_of(value, "its range", op)] for value in inputs[:2])
    defaults = (range(len(starts)), [1] * len(starts))
    axes, steps = (
        list(default) if value is None else [int(n) for n in constant_of(value, "its range", op)]
        for value, default in zip(inputs[2:], defaults, strict=True)
    )
    return starts, ends, [axis % rank for axis in axes], steps


def _python_slice(start: int, end: int, step: int) -> tuple[int, int | None, int]:
    """ONNX writes the end of a backward slice that includes element 0 as a far negative number."""
    return start, None if step < 0 and end <= np.iinfo(np.int32).min else end, step


def scattered(
    gradient: ir.Value, places: np.ndarray, length: int, along: tuple[int, int], op: GradientEmitter
) -> ir.Value:
    """The transpose of taking `places` along an axis, given as (axis, rank): x[places[k]] += y[k].

    The axis has `length` elements before the taking.
    """
    axis, _ = along
    if len(np.unique(places)) < len(places):
        selection = np.zeros((length, len(places)), op.dtype)
        selection[places, np.arange(len(places))] = 1
        return along_axis(gradient, selection, along, op)
    if len(places) == length and (places == np.arange(length)).all():
        return gradient
    if len(places) == length:
        return op("Gather", gradient, op.integers(*(int(n) for n in np.argsort(places))), axis=axis)
    if (np.diff(places) == 1).all():
        before = int(places[0])
        return padded(gradient, along, (before, length - before - len(places)), op)
    source = np.full(length, len(places))
    source[places] = np.arange(len(places))
    extended = padded(gradient, along, (0, 1), op)
    return op("Gather", extended, op.integers(*(int(n) for n in source)), axis=axis)


def padded(
    x: ir.Value, along: tuple[int, int], counts: tuple[int, int], op: GradientEmitter
) -> ir.Value:
    """Adds zeros before and after along one axis, given as (axis, rank)."""
    axis, rank = along
    if not any(counts):
        return x
    pads = [0] * 2 * rank
    pads[axis], pads[rank + axis] = counts
    return op("Pad", x, op.integers(*pads))


def along_axis(
    x: ir.Value, matrix: np.ndarray, along: tuple[int, int], op: GradientEmitter
) -> ir.Value:
    """Multiplies the vectors along an axis, given as (axis, rank), by a matrix [new, old]."""
    axis, rank = along
    if axis == rank - 2:
        return op("MatMul", op.constant(matrix), x)
    if axis == rank - 1:
        return op("MatMul", x, op.constant(matrix.T))
    order = list(range(rank))
    order[axis], order[-1] = order[-1], order[axis]
    turned = op("MatMul", op("Transpose", x, perm=order), op.constant(matrix.T))
    return op("Transpose", turned, perm=order)


def length_of(x: ir.Value, axis: int, op: GradientEmitter) -> ir.Value:
    """The length of an axis, as a vector of one element; found when the graph runs if need be."""
    length = known_sizes(x, op)[axis]
    if length is not None:
        return op.integers(length)
    return op("Gather", op("Shape", x), op.integers(axis), axis=0)


def put(
    shape: ir.Value,
    gradient: tuple[ir.Value | None, ir.Value],
    op: GradientEmitter,
    **attributes: Attribute,
) -> ir.Value:
    """Writes a gradient into zeros by indices, given before it, as ScatterElements.

    ONNX Runtime adds no float16. (Its ScatterND adds from several threads at once, and wrongly.)
    """
    indices, written = gradient
    given: Attributes = {**attributes}
    if op.dtype.itemsize >= np.dtype(np.float32).itemsize:
        zeros = op("Expand", 0.0, shape)
        return op("ScatterElements", zeros, indices, written, **given)
    own = int(ir.DataType.from_numpy(op.dtype))
    with op.in_dtype(ir.DataType.FLOAT):
        wide = op("Cast", written, to=int(ir.DataType.FLOAT))
        total = put(shape, (indices, wide), op, **given)
    return op("Cast", total, to=own)


def scattered_at_run_time(
    gradient: ir.Value,
    places: tuple[ir.Value, int],
    length: ir.Value,
    along: tuple[int, int],
    op: GradientEmitter,
) -> ir.Value:
    """As `scattered`, by places that the graph computes, given with their rank.

    Places may repeat from opset 16 on.
    """
    (indices, taken), (axis, rank) = places, along
    taken_axes = range(axis, axis + taken)
    others = [k for k in range(rank - 1 + taken) if k not in taken_axes]
    turned = op("Transpose", gradient, perm=[*taken_axes, *others])
    rest = op.sliced(op("Shape", turned), [taken], [2**63 - 1], [0])
    rows = op("Reshape", turned, op("Concat", op.integers(-1), rest, axis=0))
    column = op("Reshape", indices, op.integers(*([-1] + [1] * len(others))))
    given = (op("Expand", column, op("Shape", rows)), rows)
    adding = {"reduction": "add"} if op.opset >= 16 else {}  # as above
    total = put(op("Concat", length, rest, axis=0), given, op, axis=0, **adding)
    return op("Transpose", total, perm=[*range(1, axis + 1), 0, *range(axis + 1, rank)])


@by_input({"Tile": (6, 13)})
def tile(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Sums over the copies."""
    repeats = [int(n) for n in constant_of(node.inputs[1], "its repeats", op)]
    lengths = known_sizes(first(node), op)
    if sum(length is None for length in lengths) > 1:
        raise op.refusal("several axes have dynamic sizes")
    pairs = zip(repeats, lengths, strict=True)
    split = [n for r, length in pairs for n in (r, -1 if length is None else length)]
    copies = list(range(0, 2 * len(repeats), 2))
    return op.sum_over(op("Reshape", gradient, op.integers(*split)), copies, keepdims=False)


@by_input({"DepthToSpace": (11, 13, 28)})
def depth_to_space(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """The inverse: SpaceToDepth, or its likeness with the channels outermost in mode CRD."""
    block = node.attributes.get_int("blocksize", 1)
    if node.attributes.get_string("mode", "DCR") == "DCR":
        return op("SpaceToDepth", gradient, blocksize=block)
    _, channels, height, width = known_sizes(node.outputs[0], op)
    if channels is None or height is None or width is None:
        raise op.refusal("the size of its output is dynamic")
    blocks = [-1, channels, height // block, block, width // block, block]
    apart = op("Transpose", op("Reshape", gradient, op.integers(*blocks)), perm=[0, 1, 3, 5, 2, 4])
    return shaped_as(first(node), apart, op)


@by_input({"SpaceToDepth": (1, 13, 28)})
def space_to_depth(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """The inverse: DepthToSpace in the same mode."""
    block = node.attributes.get_int("blocksize", 1)
    mode = node.attributes.get_string("mode", "DCR")
    return op("DepthToSpace", gradient, blocksize=block, mode=mode)


@by_input({"CumSum": (11, 14)})
def cumulative_sum(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Sums from the other end."""
    exclusive = node.attributes.get_int("exclusive", 0)
    backwards = 1 - node.attributes.get_int("reverse", 0)
    return op("CumSum", gradient, node.inputs[1], exclusive=exclusive, reverse=backwards)


@by_input({"Trilu": (14,)})
def triangle(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """The same triangle of dy."""
    return op("Trilu", gradient, *node.inputs[1:], upper=node.attributes.get_int("upper", 1))
