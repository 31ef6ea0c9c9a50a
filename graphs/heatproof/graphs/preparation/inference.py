"""Infers the shapes of a graph, and knows which declared ones to keep."""

from collections.abc import Mapping, Sequence

import onnx
import onnx_ir as ir
from onnx_ir.passes import common

from heatproof.graphs.files.sequences import recall_sequences
from heatproof.graphs.operators.rules import Operator

_LONGEST_VECTOR = 1 << 16
_SHORT = 64
"""Elements of the constants that the inference of one node may read."""


def infer_shapes(model: ir.Model) -> None:
    """Infers types and shapes in place; what cannot be inferred stays as it is."""
    _infer_shapes(model, data_prop=False)
    if _vectors_are_short(model.graph):
        found = _forget_shapes(model.graph)  # unknown sizes have names now, which would stay
        _infer_shapes(model, data_prop=True)
        _merge_shapes(model.graph, found)


def _infer_shapes(model: ir.Model, *, data_prop: bool) -> None:
    # ONNX infers group normalisation from its function body, and fails where the batch is open.
    groups = [node for node in model.graph.all_nodes() if _normalizes_groups(node)]
    for node in groups:
        node.op_type = "InstanceNormalization"  # equal operands, and a result of the same shape
    try:
        common.ShapeInferencePass(check_type=False, strict_mode=False, data_prop=data_prop)(model)
    finally:
        for node in groups:
            node.op_type = "GroupNormalization"
    recall_sequences(model)


def _normalizes_groups(node: ir.Node) -> bool:
    return node.op_type == "GroupNormalization" and node.domain in ("", "ai.onnx")


def _vectors_are_short(graph: ir.Graph) -> bool:
    """Whether every vector is known to be short, or as long as an input of open size has rows.

    Data propagation follows vectors element by element: a Range, or a few concatenations of a
    vector with itself, would fill the memory.
    """
    sizes = {size for value in graph.inputs if value.shape is not None for size in value.shape}
    symbols = {size for size in sizes if not isinstance(size, int)}
    shapes = [value.shape for node in graph.all_nodes() for value in node.outputs]
    return all(
        shape is not None
        and (shape.rank() != 1 or shape[0] in symbols or _length(shape) <= _LONGEST_VECTOR)
        for shape in shapes
    )


def _length(vector: ir.Shape) -> int:
    length = vector[0]
    return length if isinstance(length, int) else _LONGEST_VECTOR + 1


def reshape_input(model: ir.Model, name: str, shape: Sequence[int | str | ir.SymbolicDim]) -> None:
    """Gives an input another shape, in place, and infers all others anew."""
    value = next(value for value in model.graph.inputs if value.name == name)
    value.shape = ir.Shape(shape)
    declared = _forget_shapes(model.graph)
    infer_shapes(model)
    recall_shapes(model.graph, declared)


def forget_shapes(model: ir.Model) -> dict[str, ir.Shape]:
    """Clears in place every shape that `infer_shapes` can find anew; returns them by value."""
    return _forget_shapes(model.graph)


def _forget_shapes(graph: ir.Graph) -> dict[str, ir.Shape]:
    """Clears the declared shapes, which may be wrong, and returns them by value name."""
    declared: dict[str, ir.Shape] = {}
    for node in ir.traversal.RecursiveGraphIterator(graph):
        if Operator.of(node, graph.opset_imports) is None:
            continue  # nothing could be inferred in place of what is declared
        for value in node.outputs:
            if value.shape is not None and value.name:
                declared[value.name] = value.shape
                value.shape = None
    return declared


def recall_shapes(graph: ir.Graph, declared: dict[str, ir.Shape]) -> None:
    """Declared shapes are better than none where inference found none."""
    for node in ir.traversal.RecursiveGraphIterator(graph):
        for value in node.outputs:
            if value.shape is None and value.name in declared:
                value.shape = declared[value.name]


def _merge_shapes(graph: ir.Graph, found: dict[str, ir.Shape]) -> None:
    """Fills in the sizes that an earlier inference found and a later one did not."""
    recall_shapes(graph, found)
    for value in (value for node in graph.all_nodes() for value in node.outputs):
        now, before = value.shape, found.get(value.name or "")
        if now is not None and before is not None and now.rank() == before.rank():
            pairs = zip(now, before, strict=True)
            value.shape = ir.Shape([b if isinstance(b, int) else a for a, b in pairs])


def keep_output_symbols(graph: ir.Graph, original: ir.Graph) -> None:
    """Gives open sizes of the outputs, but those of the inputs, the names the model gave them."""
    inputs = {size for value in graph.inputs if value.shape is not None for size in value.shape}
    for value, known in zip(graph.outputs, original.outputs, strict=True):
        if value.shape is None or known.shape is None or len(value.shape) != len(known.shape):
            continue
        pairs = zip(value.shape, known.shape, strict=True)
        value.shape = ir.Shape(
            [old if new not in inputs and _is_open(new, old) else new for new, old in pairs]
        )


def _is_open(new: int | ir.SymbolicDim, old: int | ir.SymbolicDim) -> bool:
    """Whether both sizes are open and the old one has a name."""
    return not isinstance(new, int) and not isinstance(old, int) and old.value is not None


def infer_node(node: ir.Node, opset_imports: Mapping[str, int]) -> None:
    """Infers the types and shapes of one node's outputs anew, from those of its inputs."""
    operator = Operator.of(node, opset_imports)
    given = [value for value in node.inputs if value is not None]
    types = {value.name or "": proto for value in given if (proto := _type_of(value)) is not None}
    if operator is None or len(types) < len(set(given)) or _has_subgraphs(node):
        return
    schema = onnx.defs.get_schema(node.op_type, opset_imports[node.domain], node.domain)
    try:
        found = onnx.shape_inference.infer_node_outputs(
            schema, ir.to_proto(node), types, _short_constants(node)
        )
    except onnx.shape_inference.InferenceError:  # as in `infer_shapes`: it stays as it is
        return
    for value in node.outputs:
        if value.name in found:
            shape = ir.serde.deserialize_type_proto_for_shape(found[value.name])
            value.shape = value.shape if shape is None else shape
            value.type = ir.serde.deserialize_type_proto_for_type(found[value.name])


def _type_of(value: ir.Value) -> onnx.TypeProto | None:
    if value.type is None:
        return None
    proto = ir.serde.serialize_type(value.type)
    if value.shape is not None:
        ir.serde.serialize_shape_into(proto, value.shape)
    return proto


def _short_constants(node: ir.Node) -> dict[str, onnx.TensorProto]:
    tensors = {
        value.name or "": value.const_value for value in node.inputs if value and value.const_value
    }
    return {
        name: ir.to_proto(tensor)
        for name, tensor in tensors.items()
        if tensor is not None and tensor.size <= _SHORT
    }


def _has_subgraphs(node: ir.Node) -> bool:
    kinds = {ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS}
    return any(attribute.type in kinds for attribute in node.attributes.values())
