"""Gradients of operators that resample along axes: paddings and resizings.

Along each axis they are linear maps of short vectors, so their transpose is a matrix product.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
from numpy.typing import NDArray

from heatproof.graphs.gradients.broadcasting import known_sizes
from heatproof.graphs.gradients.emitter import Emitter
from heatproof.graphs.gradients.shapes import along_axis, padded, scattered
from heatproof.graphs.gradients.table import by_input, constant_of, first

_REPEATING: dict[str, Literal["edge", "reflect", "wrap"]] = {
    "edge": "edge",
    "reflect": "reflect",
    "wrap": "wrap",
}
_PAD_AXES = 3  # position of the input that names the padded axes
_RESIZE_SCALES = 2  # position of the scales
_RESIZE_INPUTS = 11  # opset that added the modes of coordinates
_RESIZE_OPSET = 13  # opset that made all inputs but the first optional


@by_input({"Pad": (2, 11, 13, 18, 19, 21, 23, 24, 25)})
def pad(node: ir.Node, gradient: ir.Value, op: Emitter) -> ir.Value:
    """Crops the padding; in other modes than constant it also adds up what was repeated."""
    x = first(node)
    rank = len(known_sizes(x, op))
    mode = node.attributes.get_string("mode", "constant")
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
    pads: Sequence[int] | None = node.attributes.get_ints("pads")
    axes: Sequence[int] = range(rank)
    if pads is None:
        pads = [int(n) for n in constant_of(node.inputs[1], "its pads", op)]
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


@by_input({"Resize": (10, 11, 13, 18, 19), "Upsample": (7, 9)})
def resize(node: ir.Node, gradient: ir.Value, op: Emitter) -> ir.Value:
    """Multiplies each resized axis by the transposed interpolation matrix."""
    coordinates = node.attributes.get_string("coordinate_transformation_mode", "half_pixel")
    policy = node.attributes.get_string("keep_aspect_ratio_policy", "stretch")
    if coordinates == "tf_crop_and_resize" or policy != "stretch":
        raise op.refusal("it crops, or keeps the aspect ratio")
    old, new = known_sizes(first(node), op), known_sizes(node.outputs[0], op)
    total = gradient
    for axis, (length, resized) in enumerate(zip(old, new, strict=True)):
        if length == resized and (length is not None or axis == 0):
            continue
        if length is None or resized is None:
            raise op.refusal(f"the size of axis {axis} is dynamic")
        matrix = _interpolation(node, axis, (length, resized), op)
        total = along_axis(total, matrix, (axis, len(old)), op)
    return total


def _interpolation(node: ir.Node, axis: int, lengths: tuple[int, int], op: Emitter) -> np.ndarray:
    """The matrix [old, new] of a resizing of one axis: the resized rows of the identity.

    ONNX Runtime resizes them, so that every mode means here what it means in the forward pass.
    """
    length, _ = lengths
    rows = ir.Value(
        name="rows", shape=ir.Shape([1, 1, length, length]), type=ir.TensorType(ir.DataType.FLOAT)
    )
    extent = _extent(node, axis, lengths, op)
    given = ir.Value(
        name="extent",
        shape=ir.Shape(extent.shape),
        type=ir.TensorType(ir.DataType.from_numpy(extent.dtype)),
        const_value=ir.tensor(extent),
    )
    inputs = [rows, None, given] if extent.dtype == np.float32 else [rows, None, None, given]
    resizing = ir.Node("", "Resize", inputs, _resize_attributes(node, op), name="resize")
    graph = ir.Graph(
        [rows],
        resizing.outputs,
        nodes=[resizing],
        initializers=[given],
        opset_imports={"": max(op.opset, _RESIZE_OPSET)},
        name="interpolation",
    )
    resizing.outputs[0].name = "resized"
    resizing.outputs[0].type = rows.type
    return _evaluated(graph, length).astype(op.dtype, copy=False)


def _evaluated(graph: ir.Graph, length: int) -> NDArray[np.float32]:
    model = ir.to_proto(ir.Model(graph, ir_version=8))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (resized,) = session.run(None, {"rows": np.eye(length, dtype=np.float32)[None, None]})
    matrix: NDArray[np.float32] = np.asarray(resized, np.float32)[0, 0]
    return matrix


def _extent(node: ir.Node, axis: int, lengths: tuple[int, int], op: Emitter) -> np.ndarray:
    """Scales (float32) or sizes (int64) that resize only the last axis, as `axis` of the node."""
    axes = list(node.attributes.get_ints("axes") or range(len(known_sizes(first(node), op))))
    place = [one % len(known_sizes(first(node), op)) for one in axes].index(axis)
    scales: Sequence[float] | None = node.attributes.get_floats("scales")
    for position in (1, _RESIZE_SCALES) if op.opset < _RESIZE_INPUTS else (_RESIZE_SCALES,):
        if position < len(node.inputs) and node.inputs[position] is not None:
            scales = constant_of(node.inputs[position], "its scales", op).tolist()
    if scales:
        return np.array([1, 1, 1, scales[place]], np.float32)
    return np.array([1, 1, lengths[0], lengths[1]], np.int64)


def _resize_attributes(node: ir.Node, op: Emitter) -> list[ir.Attr]:
    """Attributes of an equal Resize; before opset 11 all resizings were asymmetric."""
    dropped = ("axes", "scales", "keep_aspect_ratio_policy")
    kept = [attribute for name, attribute in node.attributes.items() if name not in dropped]
    if op.opset >= _RESIZE_INPUTS:
        return kept
    asymmetric = ir.AttrString("coordinate_transformation_mode", "asymmetric")
    return [*kept, asymmetric, ir.AttrString("nearest_mode", "floor")]
