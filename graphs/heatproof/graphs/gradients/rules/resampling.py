"""Gradients of operators that resample along axes: paddings and resizings.

Along each axis they are linear maps of short vectors, so their transpose is a matrix product.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
from numpy.typing import NDArray

from heatproof.graphs.constants import constant
from heatproof.graphs.gradients.broadcasting import known_sizes
from heatproof.graphs.gradients.emitter import Emitter
from heatproof.graphs.gradients.rules.shapes import along_axis, padded, scattered
from heatproof.graphs.gradients.table import by_input, constant_of, first

_REPEATING: dict[str, Literal["edge", "reflect", "wrap"]] = {
    "edge": "edge",
    "reflect": "reflect",
    "wrap": "wrap",
}
_PAD_AXES = 3  # position of the input that names the padded axes
_PARAMETERS = {"roi": 1, "scales": 2, "sizes": 3}  # positions of the inputs of a Resize
_REGION, _SCALES, _SIZES = _PARAMETERS.values()
_CROP = "tf_crop_and_resize"
_RESIZE_OPSET = 18  # opset that lets axes be chosen


@by_input({"Pad": (11, 13, 18, 19, 21, 23, 24, 25)})
def pad(node: ir.Node, gradient: ir.Value, op: Emitter) -> ir.Value:
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


def _paddings(node: ir.Node, rank: int, op: Emitter) -> list[tuple[int, int, int]]:
    """Axis, positions before and after it."""
    pads = [int(n) for n in constant_of(node.inputs[1], "its pads", op)]
    axes: Sequence[int] = range(rank)
    if len(node.inputs) > _PAD_AXES and node.inputs[_PAD_AXES] is not None:
        axes = [int(n) % rank for n in constant_of(node.inputs[_PAD_AXES], "its axes", op)]
    return list(zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True))


def _unpadded(
    x: ir.Value, along: tuple[int, int], counts: tuple[int, int], op: Emitter
) -> ir.Value:
    """Takes positions off both ends of an axis; negative counts add zeros."""
    before, after = counts
    x = padded(x, along, (max(0, -before), max(0, -after)), op)
    if max(before, after) <= 0:
        return x
    start, stop = max(0, before), -after if after > 0 else 2**63 - 1
    return op.sliced(x, [start], [stop], [along[0]])


@by_input({"Resize": (11, 13, 18, 19)})
def resize(node: ir.Node, gradient: ir.Value, op: Emitter) -> ir.Value:
    """Multiplies each resized axis by the transposed interpolation matrix."""
    old, new = known_sizes(first(node), op), known_sizes(node.outputs[0], op)
    total = gradient
    for axis in _resized_axes(node, op):
        if old[axis] == new[axis] and _keeps(node, axis, op):
            continue
        if old[axis] is None or new[axis] is None:
            raise op.refusal(f"the size of axis {axis} is dynamic; fix it in the export")
        total = along_axis(total, _interpolation(node, axis, op), (axis, len(old)), op)
    return total


def _resized_axes(node: ir.Node, op: Emitter) -> list[int]:
    rank = len(known_sizes(first(node), op))
    return [axis % rank for axis in node.attributes.get_ints("axes") or range(rank)]


def _keeps(node: ir.Node, axis: int, op: Emitter) -> bool:
    """Whether an axis of unchanged length also keeps its elements."""
    scales, region = (_own(node, index, [axis], op) for index in (_SCALES, _REGION))
    cropped = node.attributes.get_string("coordinate_transformation_mode") == _CROP
    whole = not cropped or region is None or region.tolist() == [0, 1]
    return whole and (scales is None or scales.tolist() == [1])


def _interpolation(node: ir.Node, axis: int, op: Emitter) -> np.ndarray:
    """The matrix [old, new] of a resizing of one axis: the resized rows of the identity.

    ONNX Runtime resizes them, so that every mode means here what it means in the forward pass. The
    resized zeros are taken off: a crop puts a constant where it reaches over the border. An axis
    whose scale another axis limits is resized along with that.
    """
    limiting = _limiting_axis(node, op)
    axes = [axis] if limiting in (None, axis) else [limiting or 0, axis]
    *beside, length = (known_sizes(first(node), op)[one] or 0 for one in axes)
    rows = np.eye(length + 1, length, dtype=np.float32)[None, :, None]
    resized = _resized(np.repeat(rows, math.prod(beside), axis=2), node, axes, op)[0, :, 0]
    return (resized[:-1] - resized[-1:]).astype(op.dtype, copy=False)


def _limiting_axis(node: ir.Node, op: Emitter) -> int | None:
    """The axis whose scale all others take; None where each has its own."""
    policy = node.attributes.get_string("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return None
    axes = _resized_axes(node, op)
    lengths = [known_sizes(first(node), op)[axis] or 1 for axis in axes]
    sizes = constant_of(node.inputs[_SIZES], "its sizes", op).tolist()
    scales = [size / length for size, length in zip(sizes, lengths, strict=True)]
    extreme = min(scales) if policy == "not_larger" else max(scales)
    return axes[scales.index(extreme)]


def _own(node: ir.Node, index: int, axes: Sequence[int], op: Emitter) -> np.ndarray | None:
    """Region, scales or sizes of some axes of a Resize, or None."""
    value = node.inputs[index] if index < len(node.inputs) else None
    if value is None or (index == _SIZES and _limiting_axis(node, op) is None):
        return None  # sizes are those of the output
    numbers = constant_of(value, "what it resizes to", op)
    if not numbers.size:
        return None
    places = [_resized_axes(node, op).index(axis) for axis in axes]
    return numbers.reshape(-1, len(_resized_axes(node, op)))[:, places].reshape(-1)


def _resized(
    rows: NDArray[np.float32], node: ir.Node, axes: Sequence[int], op: Emitter
) -> NDArray[np.float32]:
    """Resizes the last axes of a tensor as a node resizes some of its own."""
    x = ir.Value(name="rows", shape=ir.Shape(rows.shape), type=ir.TensorType(ir.DataType.FLOAT))
    found = {name: _own(node, index, axes, op) for name, index in _PARAMETERS.items()}
    if found["scales"] is None and found["sizes"] is None:
        new = known_sizes(node.outputs[0], op)
        found["sizes"] = np.array([new[axis] or 0 for axis in axes])
    given = {name: constant(name, array) for name, array in found.items() if array is not None}
    kept = [attribute for name, attribute in node.attributes.items() if name != "axes"]
    kept.append(ir.AttrInt64s("axes", range(rows.ndim - len(axes), rows.ndim)))
    resizing = ir.Node("", "Resize", [x, *map(given.get, _PARAMETERS)], kept, name="resize")
    resizing.outputs[0].name, resizing.outputs[0].type = "resized", x.type
    graph = ir.Graph(
        [x],
        resizing.outputs,
        nodes=[resizing],
        initializers=list(given.values()),
        opset_imports={"": max(op.opset, _RESIZE_OPSET)},
        name="interpolation",
    )
    model = ir.to_proto(ir.Model(graph, ir_version=8))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (resized,) = session.run(None, {"rows": rows})
    return np.asarray(resized, np.float32)
