"""Which files a model refers to: torch's default export puts weights beside the model.

The client knows no ONNX. Protobuf skips fields that a schema leaves out, so a schema of the few
fields that lead to external tensors is enough; it is built here, for nothing else may read it.
"""

from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

_Field = descriptor_pb2.FieldDescriptorProto


class _Link(NamedTuple):
    """A repeated field of a message of ONNX, by number; to bytes where it names no message.

    A singular field parses as a repeated one of at most one element.
    """

    name: str
    number: int
    to: str = ""


_LINKS: Final = {
    "Model": (
        _Link("graph", 7, "Graph"),
        _Link("training_info", 20, "Training"),
        _Link("functions", 25, "Function"),
    ),
    "Training": (_Link("initialization", 1, "Graph"), _Link("algorithm", 2, "Graph")),
    "Function": (_Link("node", 7, "Node"), _Link("attribute_proto", 11, "Attribute")),
    "Graph": (
        _Link("node", 1, "Node"),
        _Link("initializer", 5, "Tensor"),
        _Link("sparse_initializer", 15, "SparseTensor"),
    ),
    "Node": (_Link("attribute", 5, "Attribute"),),
    "Attribute": (
        _Link("t", 5, "Tensor"),
        _Link("g", 6, "Graph"),
        _Link("tensors", 10, "Tensor"),
        _Link("graphs", 11, "Graph"),
        _Link("sparse_tensor", 22, "SparseTensor"),
        _Link("sparse_tensors", 23, "SparseTensor"),
    ),
    "SparseTensor": (_Link("values", 1, "Tensor"), _Link("indices", 2, "Tensor")),
    "Tensor": (_Link("external_data", 13, "Entry"),),
    "Entry": (_Link("key", 1), _Link("value", 2)),
}


def external_locations(model: bytes) -> tuple[str, ...]:
    """Finds the locations of external data in a model file, sorted, each once.

    Bytes that are no ONNX model have none: it is the server that says what is wrong with them.
    """
    parsed = _model_class()()
    try:
        parsed.ParseFromString(model)
    except DecodeError:
        return ()
    return tuple(sorted(set(_locations(parsed))))


def _locations(message: Message) -> Iterator[str]:
    for _, values in message.ListFields():
        for value in values:
            if not isinstance(value, Message):
                continue
            entry = {field.name: held for field, held in value.ListFields()}
            if entry.get("key") == [b"location"]:
                yield b"".join(entry.get("value", ())).decode(errors="replace")
            else:
                yield from _locations(value)


@cache
def _model_class() -> type[Message]:
    file = descriptor_pb2.FileDescriptorProto(
        name="external_data.proto", package="external", syntax="proto2"
    )
    for name, links in _LINKS.items():
        file.message_type.add(name=name, field=[_field(link) for link in links])
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("external.Model"))


def _field(link: _Link) -> descriptor_pb2.FieldDescriptorProto:
    return _Field(
        name=link.name,
        number=link.number,
        label=_Field.LABEL_REPEATED,
        type=_Field.TYPE_MESSAGE if link.to else _Field.TYPE_BYTES,
        type_name=f".external.{link.to}" if link.to else None,
    )
