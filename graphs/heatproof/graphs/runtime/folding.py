"""Bounds what ONNX Runtime computes by itself when it opens a session.

It folds constants without looking at what that costs: a few products of large constants would keep
a worker busy for hours.
"""

from collections.abc import Iterator

import onnx_ir as ir

from heatproof.graphs.operators.traits import Trait, has
from heatproof.graphs.preparation.constants.costs import FOLDING_BUDGET, work_of
from heatproof.graphs.preparation.inference import infer_node

Values = dict[ir.Value | None, ir.Value | None]


def folds_within_budget(model: ir.Model) -> bool:
    """Whether folding all constants of a graph stays within `FOLDING_BUDGET`.

    The sizes of results follow from the constants alone: what the file says of them is not
    believed. Where they do not follow, the answer is no.
    """
    work = 0
    for node in _constant_nodes(model):
        work += work_of(node)
        if work > FOLDING_BUDGET:
            return False
    return True


def _constant_nodes(model: ir.Model) -> Iterator[ir.Node]:
    """Copies of the nodes that ONNX Runtime can compute, in order, with the shapes that follow."""
    constants: Values = {None: None}
    for node in model.graph.all_nodes():
        for value in node.inputs:
            if value is not None and value.const_value is not None:
                constants[value] = _stored(value)
        if _is_known_shape(node) or all(value in constants for value in node.inputs):
            copy = _copied(node, constants)
            infer_node(copy, model.graph.opset_imports)
            yield copy


def _is_known_shape(node: ir.Node) -> bool:
    """Whether a node reads sizes of a tensor, and all of them are known."""
    shape = node.inputs[0].shape if has(node, Trait.EXTENT) and node.inputs[0] else None
    if shape is None or node.domain != "":
        return False
    attributes = node.attributes
    start, end = attributes.get_int("start", 0), attributes.get_int("end", shape.rank())
    return all(isinstance(size, int) for size in shape[start:end])


def _stored(value: ir.Value) -> ir.Value:
    tensor = value.const_value
    assert tensor is not None, "a constant"  # noqa: S101 # for the type checker
    shape, kind = ir.Shape(tensor.shape.numpy()), ir.TensorType(tensor.dtype)
    return ir.Value(name=value.name, shape=shape, type=kind, const_value=tensor)


def _copied(node: ir.Node, constants: Values) -> ir.Node:
    """A node of the copies of its inputs, whose outputs have no shape yet."""
    inputs = [constants[v] if v in constants else _described(v) for v in node.inputs]
    outputs = [ir.Value(name=value.name) for value in node.outputs]
    attributes = list(node.attributes.values())
    copy = ir.Node(node.domain, node.op_type, inputs, attributes, outputs=outputs, name=node.name)
    constants.update(zip(node.outputs, outputs, strict=True))
    return copy


def _described(value: ir.Value | None) -> ir.Value | None:
    return value and ir.Value(name=value.name, shape=value.shape, type=value.type)
