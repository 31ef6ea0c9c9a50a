"""Reads all of a model file but its large weights, whatever the size of the file."""

import mmap
from collections.abc import Iterator
from pathlib import Path

from onnx import GraphProto, ModelProto, TensorProto

from heatproof.evaluators.errors import InvalidModelError
from heatproof.graphs.files.saving import STREAMED_BYTES, field_head

_LENGTH_DELIMITED = 2
_FIXED = {1: 8, 5: 4}
"""Bytes of a value by the type of its field on the wire."""

_GRAPH = ModelProto.DESCRIPTOR.fields_by_name["graph"].number
_INITIALIZER = GraphProto.DESCRIPTOR.fields_by_name["initializer"].number


def skeleton_of(path: Path) -> ModelProto:
    """The model of a file, in which large initializers of the main graph are inputs instead.

    It is a valid model exactly if the file is one whose weights are complete: names, types, shapes
    and the order of nodes are those of the file.

    Raises:
        InvalidModelError: a large initializer has no name.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        kept, weights = bytearray(), list[TensorProto]()
        for number, start, value, end in _fields(data, 0, len(data)):
            if number == _GRAPH:
                graph, large = _split(data, value, end)
                kept += field_head(ModelProto, "graph", len(graph)) + graph
                weights += large
            else:
                kept += data[start:end]
    model = ModelProto.FromString(bytes(kept))
    _lend(model.graph, weights)
    return model


def _split(data: mmap.mmap, start: int, end: int) -> tuple[bytes, list[TensorProto]]:
    """The bytes of a graph without its large initializers, and those without their elements."""
    kept, large = bytearray(), list[TensorProto]()
    for number, first, value, last in _fields(data, start, end):
        if number == _INITIALIZER and last - value > STREAMED_BYTES:
            large.append(_described(data, value, last))
        else:
            kept += data[first:last]
    return bytes(kept), large


def _lend(graph: GraphProto, weights: list[TensorProto]) -> None:
    """Makes inputs of weights; of those that lie in other files too."""
    outside = [one for one in graph.initializer if one.data_location == TensorProto.EXTERNAL]
    for weight in (*weights, *outside):
        if not weight.name:
            raise InvalidModelError(f"an initializer of shape {list(weight.dims)} has no name")
        kind = graph.input.add(name=weight.name).type.tensor_type
        kind.elem_type = weight.data_type
        kind.shape.SetInParent()
        for size in weight.dims:
            kind.shape.dim.add(dim_value=size)
    for weight in outside:
        graph.initializer.remove(weight)


def _described(data: mmap.mmap, start: int, end: int) -> TensorProto:
    """A tensor without its elements."""
    kept = bytearray()
    for _, first, value, last in _fields(data, start, end):
        if last - value <= STREAMED_BYTES:
            kept += data[first:last]
    return TensorProto.FromString(bytes(kept))


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number of each field of a message, where it starts, where its value does, and its end."""
    place = start
    while place < end:
        key, value = _varint(data, place)
        kind = key & 7
        if kind == _LENGTH_DELIMITED:
            length, value = _varint(data, value)
            after = value + length
        elif kind in _FIXED:
            after = value + _FIXED[kind]
        else:
            _, after = _varint(data, value)
        yield key >> 3, place, value, after
        place = after


def _varint(data: mmap.mmap, place: int) -> tuple[int, int]:
    """A number, seven bits a byte, and the place behind it."""
    number, shift = 0, 0
    while True:
        byte = data[place]
        number |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:  # the highest bit says that more follow
            return number, place
