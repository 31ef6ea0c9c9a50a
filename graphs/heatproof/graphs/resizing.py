"""Interpolation matrices of Resize and Upsample: along each axis they are linear maps."""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
from numpy.typing import NDArray

from heatproof.graphs.constants import constant_operand

_INPUTS = 11  # opset that put the region of interest in front of the scales, and added sizes
_DROPPED = ("axes", "scales", "keep_aspect_ratio_policy")


def resizing_blocker(node: ir.Node) -> str | None:
    """Why a Resize or Upsample is no product with one matrix along each axis, or None."""
    if node.attributes.get_string("coordinate_transformation_mode") == "tf_crop_and_resize":
        return "it crops (coordinate_transformation_mode tf_crop_and_resize)"
    if node.attributes.get_string("keep_aspect_ratio_policy", "stretch") != "stretch":
        return "it keeps the aspect ratio; export it with explicit sizes"
    return None


def interpolation(
    node: ir.Node, opset: int, axis: int, lengths: tuple[int, int]
) -> NDArray[np.float32]:
    """The matrix [new, old] by which a node resizes one axis from the old length to the new.

    ONNX Runtime resizes the rows of the identity, so that every mode means here what it means when
    the model runs.

    Raises:
        LookupError: the node resizes by scales that are not constant.
    """
    old, new = lengths
    scale = _scale(node, opset, axis)
    extent = np.array([1, 1, old, new]) if scale is None else np.array([1, 1, 1, scale], np.float32)
    matrix = _resized(_model(node, opset, extent, old), old)
    return np.ascontiguousarray(matrix.T)


def _scale(node: ir.Node, opset: int, axis: int) -> float | None:
    """The factor of one axis, or None if the node is given sizes."""
    scales: Sequence[float] | None = node.attributes.get_floats("scales")
    position = 1 if opset < _INPUTS else 2
    if scales is None and position < len(node.inputs) and node.inputs[position] is not None:
        array = constant_operand(node, position)
        if array is None:
            message = "its scales are not constant"
            raise LookupError(message)
        scales = array.tolist()
    x = node.inputs[0]
    if not scales or x is None or x.shape is None:
        return None
    rank = x.shape.rank()
    axes = [one % rank for one in node.attributes.get_ints("axes") or range(rank)]
    return scales[axes.index(axis)] if axis in axes else 1.0


def _model(node: ir.Node, opset: int, extent: NDArray[np.generic], length: int) -> ir.Model:
    """The same operator, resizing the last axis of [1, 1, length, length]."""
    rows = ir.Value(
        name="rows", shape=ir.Shape([1, 1, length, length]), type=ir.TensorType(ir.DataType.FLOAT)
    )
    given = ir.Value(name="extent", const_value=ir.tensor(extent, name="extent"))
    nothing = ir.Value(name="nothing", const_value=ir.tensor(np.zeros(0, np.float32)))
    inputs = [rows, given]
    if opset >= _INPUTS:
        inputs = [rows, nothing, *([] if extent.dtype == np.float32 else [nothing]), given]
    attributes = [one for name, one in node.attributes.items() if name not in _DROPPED]
    if "scales" in node.attributes:
        inputs = [rows]
        attributes.append(ir.AttrFloat32s("scales", extent.tolist()))
    resizing = ir.Node("", node.op_type, inputs, attributes, name="resize")
    (resized,) = resizing.outputs
    resized.name, resized.type = "resized", rows.type
    graph = ir.Graph(
        [rows],
        [resized],
        nodes=[resizing],
        initializers=[one for one in (given, nothing) if one in inputs],
        opset_imports={"": opset},
        name="interpolation",
    )
    return ir.Model(graph, ir_version=8)


def _resized(model: ir.Model, length: int) -> NDArray[np.float32]:
    session = ort.InferenceSession(
        ir.to_proto(model).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (resized,) = session.run(None, {"rows": np.eye(length, dtype=np.float32)[None, None]})
    matrix: NDArray[np.float32] = np.asarray(resized, np.float32)[0, 0]
    return matrix
