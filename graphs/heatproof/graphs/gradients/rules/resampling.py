"""Gradients of operators that resample along axes: paddings and resizings.

Along each axis they are linear maps of short vectors, so their transpose is a matrix product.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import onnx_ir as ir

from heatproof.graphs.gradients.broadcasting import known_sizes
from heatproof.graphs.gradients.emitter import GradientEmitter
from heatproof.graphs.gradients.rules.shapes import along_axis, padded, scattered
from heatproof.graphs.gradients.table import by_input, constant_of, first
from heatproof.graphs.operators.resizing import interpolation, keeps

_REPEATING: dict[str, Literal["edge", "reflect", "wrap"]] = {
    "edge": "edge",
    "reflect": "reflect",
    "wrap": "wrap",
}
_PAD_AXES = 3  # position of the input that names the padded axes


@by_input({"Pad": (11, 13, 18, 19, 21, 23, 24, 25)})
def pad(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Crops the padding; in other modes than constant it also adds up what was repeated."""
    x = first(node)
    rank = len(known_sizes(x, op))
    mode = node.attributes.get_string("mode", "constant")
    pads, axes = node.inputs[1], node.inputs[_PAD_AXES:]
    if mode == "constant" and pads is not None and ir.convenience.get_const_tensor(pads) is None:
        return op("Pad", gradient, op("Neg", pads), *([None, *axes] if axes else []))
    total = gradient
    for axis, before, after in _paddings(node, rank, op):
        if (before, after) == (0, 0):
            continue
        if mode == "constant":
            total = _unpadded(total, (axis, rank), (before, after), op)
            continue
        length = known_sizes(x, op)[axis]
        if length is None or min(before, after) < 0:
            raise op.refusal(f"mode {mode} pads a dynamic axis or by a negative number")
        if mode not in _REPEATING:
            raise op.refusal(f"mode {mode} is not supported; constant, edge, reflect and wrap are")
        places = np.pad(np.arange(length), (before, after), _REPEATING[mode])
        total = scattered(total, places, length, (axis, rank), op)
    return total


def _paddings(node: ir.Node, rank: int, op: GradientEmitter) -> list[tuple[int, int, int]]:
    """Axis, positions before and after it."""
    pads = [int(n) for n in constant_of(node.inputs[1], "its pads", op)]
    axes: Sequence[int] = range(rank)
    if len(node.inputs) > _PAD_AXES and node.inputs[_PAD_AXES] is not None:
        axes = [int(n) % rank for n in constant_of(node.inputs[_PAD_AXES], "its axes", op)]
    return list(zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True))


def _unpadded(
    x: ir.Value, along: tuple[int, int], counts: tuple[int, int], op: GradientEmitter
) -> ir.Value:
    """Takes positions off both ends of an axis; negative counts add zeros."""
    before, after = counts
    x = padded(x, along, (max(0, -before), max(0, -after)), op)
    if max(before, after) <= 0:
        return x
    start, stop = max(0, before), -after if after > 0 else 2**63 - 1
    return op.sliced(x, [start], [stop], [along[0]])


@by_input({"Resize": (11, 13, 18, 19)})
def resize(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Multiplies each resized axis by the transposed interpolation matrix."""
    old, new = known_sizes(first(node), op), known_sizes(node.outputs[0], op)
    total = gradient
    try:
        for axis in range(len(old)):
            if old[axis] == new[axis] and keeps(node, axis):
                continue
            matrix = interpolation(node, axis, op.opset).astype(op.dtype, copy=False)
            total = along_axis(total, matrix, (axis, len(old)), op)
    except LookupError as error:
        raise op.refusal(str(error)) from error
    return total
