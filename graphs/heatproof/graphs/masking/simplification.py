"""Brings equal computations into one form, where the form would decide the masks."""

import onnx_ir as ir


def simplify(model: ir.Model) -> None:
    """Simplifies a prepared model in place.

    Concat(Concat(a, b), c) = Concat(a, b, c): the vote must not depend on the exporter.
    """
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
