"""Brings equal computations into one form, where the form would decide the masks."""

import onnx_ir as ir

from heatproof.graphs.masking.rearrangement import name_rearrangements
from heatproof.graphs.masking.windows import window_of
from heatproof.graphs.pad_folding import fold_pads
from heatproof.graphs.preparation import reshape_input


def simplify(model: ir.Model) -> None:
    """Simplifies a prepared model in place.

    1. Concat(Concat(a, b), c) = Concat(a, b, c): the vote must not depend on the exporter.
    2. Pools with ceil_mode get the padding that it stands for: ONNX's shape inference before
       opset 22 counts windows that lie in the padding, ONNX Runtime and PyTorch do not.
    3. Pads join the convolutions and pools that read them.
    4. Rearrangements of blocks written in other operators become SpaceToDepth or DepthToSpace.
    """
    fold_pads(model)
    name_rearrangements(model)
    for node in model.graph:
        if node.op_type == "Concat":
            _flatten(node)
        elif node.op_type in ("MaxPool", "AveragePool"):
            _resolve_rounding(node, model)


def _flatten(node: ir.Node) -> None:
    """Earlier nodes are flat already."""
    parts: list[ir.Value | None] = []
    for value in node.inputs:
        inner = None if value is None else value.producer()
        if inner is not None and inner.op_type == "Concat" and _axis(inner) == _axis(node):
            parts.extend(inner.inputs)
        else:
            parts.append(value)
    if len(parts) != len(node.inputs):
        node.resize_inputs(len(parts))
        for index, part in enumerate(parts):
            node.replace_input_with(index, part)


def _axis(node: ir.Node) -> int | None:
    """The axis counted from the front; None if it is not known, which equals nothing."""
    axis = node.attributes.get_int("axis", 1)
    shape = node.outputs[0].shape
    return axis if axis >= 0 else None if shape is None else axis + shape.rank()


def _resolve_rounding(node: ir.Node, model: ir.Model) -> None:
    value, attributes = node.inputs[0], node.attributes
    kernel = tuple(attributes.get_ints("kernel_shape", ()))
    if not attributes.get_int("ceil_mode", 0) or len(kernel) != 2:
        return
    if attributes.get_int("count_include_pad", 0) or value is None or value.shape is None:
        return  # the new padding would count
    height, width = value.shape[-2:]
    if not isinstance(height, int) or not isinstance(width, int):
        return
    window = window_of(node, (height, width), (kernel[0], kernel[1]))
    if window.has_wide_padding:
        return
    attributes.pop("auto_pad", None)  # it would overrule the pads
    attributes["ceil_mode"] = ir.AttrInt64("ceil_mode", 0)
    attributes["pads"] = ir.AttrInt64s("pads", window.pads)
    shape = node.outputs[0].shape
    if shape is None or tuple(shape[-2:]) != window.target:
        image = model.graph.inputs[0]
        reshape_input(model, image.name or "", tuple(image.shape or ()))
