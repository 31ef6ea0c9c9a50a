"""How much of the image one cell of a feature map sees."""

import math
from dataclasses import dataclass

import onnx_ir as ir

from heatproof.graphs.spatial import feature_maps

_RANK = 4


@dataclass(frozen=True, slots=True)
class Extent:
    """What one cell of a feature map sees of the image.

    Attributes:
        height: rows of the image.
        width: columns of the image.
    """

    height: int
    width: int


def receptive_field(model: ir.Model, name: str, size: tuple[int, int]) -> Extent:
    """Image rows and columns that one cell of a feature map depends on, at most the image itself.

    Kernels, dilations and strides of convolutions and pools are counted along the longest path;
    gates without spatial extent are not, although they see the whole image.
    """
    fields: dict[ir.Value | None, _Field] = {}
    maps = {feature_map.name for feature_map in feature_maps(model)}
    for node in model.graph:
        known = [fields[value] for value in node.inputs if value in fields]
        start = _joined(known) if known else _Field((1.0, 1.0), (1.0, 1.0))
        field = _through(node, start)
        for value in node.outputs:
            if value.name in maps:
                fields[value] = field
            if value.name == name:
                rows, columns = field.extent
                return Extent(min(math.ceil(rows), size[0]), min(math.ceil(columns), size[1]))
    return Extent(*size)


@dataclass(frozen=True, slots=True)
class _Field:
    extent: tuple[float, float]
    step: tuple[float, float]


def _joined(fields: list[_Field]) -> _Field:
    extent = (max(f.extent[0] for f in fields), max(f.extent[1] for f in fields))
    return _Field(extent, (max(f.step[0] for f in fields), max(f.step[1] for f in fields)))


def _through(node: ir.Node, field: _Field) -> _Field:
    kernel = _kernel(node)
    strides = _pair(node, "strides")
    dilations = _pair(node, "dilations")
    if node.op_type == "ConvTranspose":
        step = (field.step[0] / strides[0], field.step[1] / strides[1])
        return _Field(_grown(field, kernel, step), step)
    if node.op_type in {"Resize", "Upsample", "DepthToSpace"}:
        return _Field(field.extent, _rescaled(node, field.step))
    reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True))
    extent = _grown(field, (reach[0], reach[1]), field.step)
    return _Field(extent, (field.step[0] * strides[0], field.step[1] * strides[1]))


def _grown(
    field: _Field, kernel: tuple[int, int], step: tuple[float, float]
) -> tuple[float, float]:
    return (
        field.extent[0] + (kernel[0] - 1) * step[0],
        field.extent[1] + (kernel[1] - 1) * step[1],
    )


def _rescaled(node: ir.Node, step: tuple[float, float]) -> tuple[float, float]:
    x, y = node.inputs[0], node.outputs[0]
    if x is None or x.shape is None or y.shape is None:
        return step
    before, after = x.shape.numpy()[2:4], y.shape.numpy()[2:4]
    return (step[0] * before[0] / after[0], step[1] * before[1] / after[1])


def _kernel(node: ir.Node) -> tuple[int, int]:
    if "kernel_shape" in node.attributes:
        return _pair(node, "kernel_shape")
    weights = node.inputs[1] if node.op_type in {"Conv", "ConvTranspose"} else None
    if weights is None or weights.shape is None or weights.shape.rank() != _RANK:
        return (1, 1)
    return (int(weights.shape.numpy()[2]), int(weights.shape.numpy()[3]))


def _pair(node: ir.Node, name: str) -> tuple[int, int]:
    values = tuple(node.attributes.get_ints(name, (1, 1)))
    return (values[0], values[1]) if len(values) == 2 else (1, 1)
