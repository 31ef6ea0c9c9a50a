"""Changes a message in its own terms, so that fuzzing gets behind the protobuf parser."""

import random
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

_NUMBERS = (0, 1, -1, 2, 3, 7, 13, 255, 1 << 16, (1 << 31) - 1, -(1 << 31), 1 << 62)
_WORDS = ("", "x", "y", "image", "Conv", "Add", "If", "Reshape", "Concat", "axis", "ai.onnx.ml")
_CHANGES = 4


def mutated(kind: type[Message], data: bytes, max_size: int, seed: int) -> bytes:
    """Changes up to four fields; bytes that are no such message are cut."""
    message, chance = kind(), random.Random(seed)  # noqa: S311  # no secret
    try:
        message.ParseFromString(data)
    except DecodeError:
        return data[: chance.randrange(len(data) + 1)]
    for _ in range(chance.randint(1, _CHANGES)):
        _change(_anywhere(message, chance), chance)
    return message.SerializeToString()[:max_size]


def _anywhere(message: Message, chance: random.Random) -> Message:
    """Some message inside, or the message itself."""
    while True:
        inner = [
            one
            for field, value in message.ListFields()
            if field.message_type is not None and not field.message_type.GetOptions().map_entry
            for one in (value if field.is_repeated else [value])
        ]
        if not inner or chance.random() < 0.2:
            return message
        message = chance.choice(inner)


def _change(message: Message, chance: random.Random) -> None:
    fields = list(message.DESCRIPTOR.fields)
    if not fields:
        return
    field = chance.choice(fields)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        getattr(message, field.name).clear()
    elif field.is_repeated:
        _change_list(getattr(message, field.name), field, chance)
    elif field.message_type is not None:
        if chance.random() < 0.5:
            message.ClearField(field.name)
        else:
            getattr(message, field.name).SetInParent()
    else:
        setattr(message, field.name, _value(field, chance))


def _change_list(values: Any, field: FieldDescriptor, chance: random.Random) -> None:
    if len(values) and chance.random() < 0.6:
        at = chance.randrange(len(values))
        match chance.randrange(3):
            case 0:
                del values[at]
            case 1 if field.message_type is not None:
                values.add().CopyFrom(values[at])
            case _ if field.message_type is None:
                values[at] = _value(field, chance)
    elif field.message_type is not None:
        values.add()
    else:
        values.append(_value(field, chance))


def _value(field: FieldDescriptor, chance: random.Random) -> Any:
    return _VALUES[field.cpp_type](field, chance)


def _integer(field: FieldDescriptor, chance: random.Random) -> int:
    del field
    number = chance.choice(_NUMBERS)
    return number if -(1 << 31) <= number < 1 << 31 else number % (1 << 31)


def _long(field: FieldDescriptor, chance: random.Random) -> int:
    number = chance.choice(_NUMBERS)
    return abs(number) if field.cpp_type == FieldDescriptor.CPPTYPE_UINT64 else number


def _text(field: FieldDescriptor, chance: random.Random) -> str | bytes:
    word = chance.choice(_WORDS)
    return word.encode() if field.type == FieldDescriptor.TYPE_BYTES else word


_VALUES: Mapping[int, Callable[[FieldDescriptor, random.Random], Any]] = {
    FieldDescriptor.CPPTYPE_INT32: _integer,
    FieldDescriptor.CPPTYPE_INT64: _long,
    FieldDescriptor.CPPTYPE_UINT64: _long,
    FieldDescriptor.CPPTYPE_FLOAT: lambda _, chance: chance.choice([0.0, -1.0, 1e38, float("nan")]),
    FieldDescriptor.CPPTYPE_DOUBLE: lambda _, chance: chance.choice([0.0, -1.0, 1e300]),
    FieldDescriptor.CPPTYPE_BOOL: lambda _, chance: chance.random() < 0.5,
    FieldDescriptor.CPPTYPE_UINT32: _long,
    FieldDescriptor.CPPTYPE_STRING: _text,
    FieldDescriptor.CPPTYPE_ENUM: lambda field, chance: (
        chance.choice(field.enum_type.values).number
    ),
}
