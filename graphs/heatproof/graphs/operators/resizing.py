"""Interpolation matrices of Resize: along each axis it is a linear map."""

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
from numpy.typing import NDArray

from heatproof.graphs.nodes.constants import constant, constant_operand
from heatproof.graphs.operators.windows import Incidence

_PARAMETERS = {"roi": 1, "scales": 2, "sizes": 3}  # positions of the inputs of a Resize
_REGION, _SCALES, _SIZES = _PARAMETERS.values()
_FREE = "stretch"  # the policy that lets each axis have a scale of its own
_LONGEST = 1 << 13
"""Cells of the longest axis that is resized."""

_BY_PLACES = 11  # opset from which on a Resize says where it samples
_WITH_AXES = 18  # opset that lets axes be chosen

_ROUNDING = 2.0**-21
"""What a weight may be off by, as a share of the axis: places are computed in float32."""


def crops(node: ir.Node) -> bool:
    """Whether a Resize reads a region of its input, and a constant beside it."""
    return node.attributes.get_string("coordinate_transformation_mode") == "tf_crop_and_resize"


def keeps(node: ir.Node, axis: int) -> bool:
    """Whether an axis of unchanged length also keeps its elements.

    Raises:
        LookupError: the node resizes by numbers that are computed.
    """
    if axis not in _resized_axes(node):
        return True
    scales, region = (_own(node, index, [axis]) for index in (_SCALES, _REGION))
    whole = not crops(node) or region is None or region.tolist() == [0, 1]
    return whole and (scales is None or scales.tolist() == [1])


def interpolation(node: ir.Node, axis: int, opset: int) -> NDArray[np.float32]:
    """The matrix [old, new] of a resizing of one axis: the resized rows of the identity.

    ONNX Runtime resizes them, so that every mode means here what it means when the model runs. The
    resized zeros are taken off: a crop puts a constant where it reaches over the border. An axis
    whose scale another axis limits is resized along with that.

    Raises:
        LookupError: the size of an axis is not static, what the node resizes to is computed, the
            matrix would be too large, or the opset is older than 11.
    """
    if opset < _BY_PLACES:
        raise LookupError(f"Resize of opset {opset} is known from opset {_BY_PLACES} on only")
    _refuse_far(node, axis)
    if axis not in _resized_axes(node):
        return np.eye(_static(node.inputs[0], axis), dtype=np.float32)
    limiting = _limiting_axis(node)
    axes = [axis] if limiting in (None, axis) else [limiting or 0, axis]
    *beside, length = (_static(node.inputs[0], one) for one in axes)
    rows = np.eye(length + 1, length, dtype=np.float32)[None, :, None]
    model = _model(node, axes, (1, length + 1, math.prod(beside), length), opset)
    resized = _run(model, np.repeat(rows, math.prod(beside), axis=2))[0, :, 0]
    return np.asarray(resized[:-1] - resized[-1:], np.float32)


def neighbors(node: ir.Node, axis: int, opset: int) -> Incidence:
    """Which cells each cell of a resized axis is made of, rounding apart.

    Raises:
        LookupError: as `interpolation`.
    """
    weights = interpolation(node, axis, opset).T
    weighed: Incidence = np.abs(weights) > weights.shape[1] * _ROUNDING
    return weighed


def _refuse_far(node: ir.Node, axis: int) -> None:
    old, output = _static(node.inputs[0], axis), node.outputs[0].shape
    new = old if output is None else output[axis]
    if isinstance(new, int) and max(old, new) > _LONGEST:
        raise LookupError(f"it resizes axis {axis} from {old} to {new} cells, which is too far")


def _resized_axes(node: ir.Node) -> list[int]:
    x = node.inputs[0]
    if x is None or x.shape is None:
        raise LookupError("the number of axes of its input is not known")
    rank = x.shape.rank()
    return [axis % rank for axis in node.attributes.get_ints("axes") or range(rank)]


def _static(value: ir.Value | None, axis: int) -> int:
    size = None if value is None or value.shape is None else value.shape[axis]
    if isinstance(size, int):
        return size
    raise LookupError(f"the size of axis {axis} is dynamic; fix it in the export")


def _limiting_axis(node: ir.Node) -> int | None:
    """The axis whose scale all others take; None where each has its own."""
    sizes = None if _policy(node) == _FREE else _numbers(node, _SIZES)
    if sizes is None:
        return None
    axes = _resized_axes(node)
    scales = [size / _length(node, axis) for size, axis in zip(sizes.tolist(), axes, strict=True)]
    extreme = min(scales) if _policy(node) == "not_larger" else max(scales)
    return axes[scales.index(extreme)]


def _length(node: ir.Node, axis: int) -> int:
    """Of an axis of the input; a batch of unknown size counts as one image."""
    return 1 if axis == 0 else _static(node.inputs[0], axis)


def _numbers(node: ir.Node, index: int) -> NDArray[np.generic] | None:
    """Region, scales or sizes of a Resize, or None."""
    if index >= len(node.inputs) or node.inputs[index] is None:
        return None
    numbers = constant_operand(node, index)
    if numbers is None:
        raise LookupError("what it resizes to must be constant")
    return numbers if numbers.size else None


def _own(node: ir.Node, index: int, axes: Sequence[int]) -> NDArray[np.generic] | None:
    """Region, scales or sizes of some axes of a Resize, or None."""
    if index == _SIZES and _policy(node) == _FREE:
        return None  # sizes are those of the output
    numbers = _numbers(node, index)
    if numbers is None:
        return None
    every = _resized_axes(node)
    places = [every.index(axis) for axis in axes]
    return numbers.reshape(-1, len(every))[:, places].reshape(-1)


def _policy(node: ir.Node) -> str:
    return node.attributes.get_string("keep_aspect_ratio_policy", _FREE)


def _model(node: ir.Node, axes: Sequence[int], shape: Sequence[int], opset: int) -> ir.Model:
    """Resizes the last axes of a tensor as a node resizes some of its own."""
    x = ir.Value(name="rows", shape=ir.Shape(shape), type=ir.TensorType(ir.DataType.FLOAT))
    found = {name: _own(node, index, axes) for name, index in _PARAMETERS.items()}
    if found["scales"] is None and found["sizes"] is None:
        found["sizes"] = np.array([_static(node.outputs[0], axis) for axis in axes])
    given = {name: constant(name, array) for name, array in found.items() if array is not None}
    kept = [attribute for name, attribute in node.attributes.items() if name != "axes"]
    kept.append(ir.AttrInt64s("axes", range(len(shape) - len(axes), len(shape))))
    resizing = ir.Node("", "Resize", [x, *map(given.get, _PARAMETERS)], kept, name="resize")
    resizing.outputs[0].name, resizing.outputs[0].type = "resized", x.type
    graph = ir.Graph(
        [x],
        resizing.outputs,
        nodes=[resizing],
        initializers=list(given.values()),
        opset_imports={"": max(opset, _WITH_AXES)},
        name="interpolation",
    )
    return ir.Model(graph, ir_version=8)


def _run(model: ir.Model, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    serialised = ir.to_proto(model).SerializeToString()
    session = ort.InferenceSession(serialised, providers=["CPUExecutionProvider"])
    (resized,) = session.run(None, {"rows": rows})
    return np.asarray(resized, np.float32)
