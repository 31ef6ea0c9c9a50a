"""Writes models to files and bytes."""

from pathlib import Path

import onnx_ir as ir

MAX_EMBEDDED_BYTES = 1_800_000_000
"""Weights above this go to a second file: a protobuf message ends at 2 GiB."""


def save_model(model: ir.Model, path: Path, *, max_embedded: int = MAX_EMBEDDED_BYTES) -> None:
    """Writes a model to one file; with weights above `max_embedded` bytes, also `path` + ".data".

    The file takes its name only once it is complete. The model keeps its own tensors.
    """
    partial = path.with_name(path.name + ".partial")
    if weight_bytes(model) > max_embedded:
        ir.save(model, partial, external_data=path.name + ".data", size_threshold_bytes=4096)
    else:
        partial.write_bytes(to_bytes(model))
    partial.replace(path)


def to_bytes(model: ir.Model) -> bytes:
    """Serialises a model with all its weights inside, which must be below 2 GiB."""
    return ir.to_proto(embedded(model)).SerializeToString()


def embedded(model: ir.Model) -> ir.Model:
    """Returns a copy whose external tensors are its own; mapped memory is shared, not read."""
    copy = model.clone()
    for graph in copy.graphs():
        for value in graph.initializers.values():
            if isinstance(value.const_value, ir.ExternalTensor):
                value.const_value = _internal(value.const_value)
    for node in copy.graph.all_nodes():
        for name, attribute in list(node.attributes.items()):
            if isinstance(attribute.value, ir.ExternalTensor):
                node.attributes[name] = ir.AttrTensor(name, _internal(attribute.value))
    return copy


def weight_bytes(model: ir.Model) -> int:
    """Size of all initializers of the graph and its subgraphs."""
    return sum(
        value.const_value.nbytes
        for graph in model.graphs()
        for value in graph.initializers.values()
        if value.const_value is not None
    )


def _internal(tensor: ir.ExternalTensor) -> ir.TensorProtocol:
    return ir.Tensor(tensor.numpy(), dtype=tensor.dtype, shape=tensor.shape, name=tensor.name)
