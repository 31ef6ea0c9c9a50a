"""Brings equal computations into one form, where the form would decide the masks."""

import onnx_ir as ir

from heatproof.graphs.masking.rearrangement import name_rearrangements
from heatproof.graphs.pad_folding import fold_pads


def simplify(model: ir.Model) -> None:
    """Simplifies a prepared model in place.

    1. Concat(Concat(a, b), c) = Concat(a, b, c): the vote must not depend on the exporter.
    2. Pads join the convolutions and pools that read them.
    3. Rearrangements of blocks written in other operators become SpaceToDepth or DepthToSpace.
    """
    fold_pads(model)
    name_rearrangements(model)
    for node in model.graph:
        if node.op_type == "Concat":
            _flatten(node)


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
