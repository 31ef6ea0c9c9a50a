"""Writes models to files and bytes."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import onnx_ir as ir
from onnx import GraphProto, ModelProto, TensorProto

MAX_EMBEDDED_BYTES = 1_800_000_000
"""Weights above this go to a second file: a protobuf message ends at 2 GiB."""

STREAMED_BYTES = 4096
"""Weights above this are written one by one."""


def save_model(model: ir.Model, path: Path, *, max_embedded: int = MAX_EMBEDDED_BYTES) -> None:
    """Writes a model to one file; with weights above `max_embedded` bytes, also `path` + ".data".

    The file takes its name only once it is complete. The model keeps its own tensors. Weights go
    from where they are to the file one by one.
    """
    partial = path.with_name(path.name + ".partial")
    if weight_bytes(model) > max_embedded:
        ir.save(
            model, partial, external_data=path.name + ".data", size_threshold_bytes=STREAMED_BYTES
        )
    else:
        with partial.open("wb") as file:
            _write(model, file)
    partial.replace(path)


def _write(model: ir.Model, file: BinaryIO) -> None:
    """Writes a model with all its weights inside.

    A message is the sequence of its fields, so that large weights may follow the rest of the graph
    without ever being together in memory, where protobuf would hold them several times.
    """
    copy = model.clone()
    weights = list(_detached(copy.graph))
    _embed(copy)
    proto = ir.to_proto(copy)
    rest = proto.graph.SerializeToString()
    heads = [_head(name, weight) for name, weight in weights]
    size = len(rest) + sum(map(len, heads)) + sum(weight.nbytes for _, weight in weights)
    proto.ClearField("graph")
    file.write(proto.SerializeToString() + field_head(ModelProto, "graph", size) + rest)
    for head, (_, weight) in zip(heads, weights, strict=True):
        file.write(head)
        if isinstance(weight, ir.Tensor | ir.ExternalTensor):
            weight.tofile(file)
        else:
            file.write(weight.tobytes())


def _detached(graph: ir.Graph) -> Iterator[tuple[str, ir.TensorProtocol]]:
    """Takes the large weights out of a graph; the names are the graph's: a tensor may have none."""
    for name, value in list(graph.initializers.items()):
        weight = value.const_value
        is_text = weight is not None and weight.dtype == ir.DataType.STRING
        if weight is not None and weight.nbytes > STREAMED_BYTES and not is_text:
            del graph.initializers[name]
            yield name, weight


def _head(name: str, weight: ir.TensorProtocol) -> bytes:
    """The bytes of an initializer up to its elements."""
    described = TensorProto(
        name=name, dims=weight.shape.numpy(), data_type=weight.dtype.value
    ).SerializeToString()
    described += field_head(TensorProto, "raw_data", weight.nbytes)
    return field_head(GraphProto, "initializer", len(described) + weight.nbytes) + described


def field_head(
    message: type[ModelProto | GraphProto | TensorProto], field: str, size: int
) -> bytes:
    """What comes before the bytes of a field: its number and type, and how many bytes there are."""
    length_delimited = 2
    number: int = message.DESCRIPTOR.fields_by_name[field].number
    return _varint(number << 3 | length_delimited) + _varint(size)


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; all bytes but the last have the highest bit set."""
    low, high = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(high) if high else bytes([low])


def to_bytes(model: ir.Model) -> bytes:
    """Serialises a model with all its weights inside, which must be below 2 GiB."""
    return ir.to_proto(embedded(model)).SerializeToString()


def embedded(model: ir.Model) -> ir.Model:
    """Returns a copy whose external tensors are its own; mapped memory is shared, not read."""
    copy = model.clone()
    _embed(copy)
    return copy


def _embed(model: ir.Model) -> None:
    for graph in model.graphs():
        for value in graph.initializers.values():
            if isinstance(value.const_value, ir.ExternalTensor):
                value.const_value = _internal(value.const_value)
    for node in model.graph.all_nodes():
        for name, attribute in list(node.attributes.items()):
            if isinstance(attribute.value, ir.ExternalTensor):
                node.attributes[name] = ir.AttrTensor(name, _internal(attribute.value))


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
