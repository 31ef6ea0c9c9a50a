"""Messages as documents: TOML tables, dictionaries and names become checked messages.

A document is the protobuf-JSON form of its message with the field names of the contract, and four
shorthands: an enum value may drop its prefix (`on = "mean"`), a choice may be its name, with
parameters as on the command line (`explainers = ["grad_cam", "rise:masks=500"]`), a preprocessing
may be the name of its preset, and a target may be a text (`target = "contrast:207,208"`).
"""

import base64
import difflib
import reprlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar, cast

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from heatproof.client.documents.reading.choices import CHOSEN, choice
from heatproof.client.documents.targets import class_table, target_table
from heatproof.client.errors import PolicyError

AnyMessage = TypeVar("AnyMessage", bound=Message)

_SCALARS: Final[dict[int, tuple[str, tuple[type, ...]]]] = {
    FieldDescriptor.CPPTYPE_BOOL: ("true or false", (bool,)),
    FieldDescriptor.CPPTYPE_STRING: ("a string", (str,)),
    FieldDescriptor.CPPTYPE_INT32: ("a whole number", (int,)),
    FieldDescriptor.CPPTYPE_INT64: ("a whole number", (int,)),
    FieldDescriptor.CPPTYPE_DOUBLE: ("a number", (int, float)),
}
"""Types of the scalars that documents hold, and their names."""

_BY_NAME: Final = {"heatproof.v1.Preprocessing": "preset"}
"""Messages that a plain string stands for, with the field that it sets."""

_SHORTHANDS: Final[dict[str, Callable[[Any, str], dict[str, Any]]]] = {
    "heatproof.v1.Target": target_table,
    "heatproof.v1.ClassReference": lambda source, _path: class_table(source),
}
"""Messages that a text or a number stands for."""

_AS_THEY_ARE: Final = {"google.protobuf.Struct"}
"""Messages whose keys are free."""


def read(kind: type[AnyMessage], document: object, path: str = "") -> AnyMessage:
    """Makes a message out of a document.

    Args:
        kind: class of the message.
        document: a message of this class, which is copied, a table, or a shorthand.
        path: place of the document, for messages of errors.

    Raises:
        PolicyError: an unknown key or choice, whose nearest known one is named, or a value of the
            wrong type.
    """
    message = kind()
    if isinstance(document, Message):
        if not isinstance(document, kind):
            raise PolicyError(f"{path or 'document'} is a {type(document).__name__}", path=path)
        message.CopyFrom(document)
        return message
    # The stubs also know the C++ descriptor, which has the same attributes.
    plain = _table(cast("Descriptor", message.DESCRIPTOR), document, path)
    try:
        return json_format.ParseDict(plain, message)
    except json_format.ParseError as error:
        raise PolicyError(f"{path or 'document'}: {error}", path=path) from error


def _table(descriptor: Descriptor, document: object, path: str) -> dict[str, Any]:
    """The protobuf-JSON form of a message's document."""
    if isinstance(document, Message):
        return json_format.MessageToDict(document, preserving_proto_field_name=True)
    if isinstance(document, str | int) and descriptor.full_name in _SHORTHANDS:
        return _SHORTHANDS[descriptor.full_name](document, path)
    if isinstance(document, str):
        return _from_name(descriptor, document, path)
    if not isinstance(document, Mapping):
        raise _wrong_type(path, "a table", document)
    if descriptor.full_name in _AS_THEY_ARE:
        return dict(document)
    return {key: _member(descriptor, key, value, path) for key, value in document.items()}


def _from_name(descriptor: Descriptor, name: str, path: str) -> dict[str, Any]:
    """The table that a plain name stands for."""
    if descriptor.full_name in _BY_NAME:
        return {_BY_NAME[descriptor.full_name]: name}
    if len(descriptor.oneofs) != 1:
        raise _wrong_type(path, "a table", name)
    if CHOSEN in name:
        return _table(descriptor, choice(name), path)
    arms = [field.name for field in descriptor.oneofs[0].fields]
    if name not in arms:
        raise _unknown_value(descriptor.oneofs[0].name, name, arms, path)
    return {name: {}}


def _member(descriptor: Descriptor, key: str, value: object, path: str) -> object:
    place = f"{path}.{key}" if path else key
    field = descriptor.fields_by_name.get(key)
    if field is None:
        raise _unknown_key(place, descriptor)
    if not field.is_repeated:
        return _value(field, value, place)
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise _wrong_type(place, "a list", value)
    return [_value(field, item, f"{place}[{index}]") for index, item in enumerate(value)]


def _value(field: FieldDescriptor, value: object, path: str) -> object:
    if field.message_type is not None:
        return _table(field.message_type, value, path)
    if field.enum_type is not None:
        return _enum_value(field.enum_type, value, path)
    if field.type == FieldDescriptor.TYPE_BYTES and isinstance(value, bytes):
        return base64.b64encode(value).decode()  # as protobuf's JSON writes them
    wanted, kinds = _SCALARS[field.cpp_type]
    # A bool is an int to Python, but `grid = true` is a mistake.
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise _wrong_type(path, wanted, value)
    return value


def _enum_value(enum: EnumDescriptor, value: object, path: str) -> str:
    """Full name of an enum value: `mean`, `MEAN` and `ON_MEAN` are the same."""
    if not isinstance(value, str):
        raise _wrong_type(path, "a string", value)
    short = {name.removeprefix(prefix(enum)).lower(): name for name in enum.values_by_name}
    short.pop("unspecified", None)
    name = value.upper()
    if name in short.values():
        return name
    if value.lower() not in short:
        raise _unknown_value("value", value, short, path)
    return short[value.lower()]


def listed(choices: object) -> list[Any]:
    """Choices as a list: one alone may stand for itself."""
    if isinstance(choices, str | Mapping | Message):
        return [choices]
    if not isinstance(choices, Iterable):
        raise _wrong_type("choices", "a name or a list of them", choices)
    return list(choices)


def prefix(enum: EnumDescriptor) -> str:
    """What the names of an enum's values begin with, such as `RESIZE_`."""
    first: str = enum.values[0].name
    return first.removesuffix("UNSPECIFIED")


def short_name(enum: EnumDescriptor, number: int) -> str:
    """Name of an enum value without its prefix, in lower case."""
    value = enum.values_by_number.get(number)
    return str(number) if value is None else value.name.removeprefix(prefix(enum)).lower()


def _unknown_key(path: str, descriptor: Descriptor) -> PolicyError:
    parent, dot, key = path.rpartition(".")
    near = _nearest(key, descriptor.fields_by_name)
    hint = f"did you mean {parent + dot + near!r}?" if near else _known(descriptor.fields_by_name)
    return PolicyError(f"unknown key {path!r}; {hint}", path=path)


def _unknown_value(kind: str, name: str, known: Iterable[str], path: str) -> PolicyError:
    near = _nearest(name, known)
    hint = f"did you mean {near!r}?" if near else _known(known)
    place = f" at {path!r}" if path else ""
    return PolicyError(f"unknown {kind} {name!r}{place}; {hint}", path=path)


def _nearest(name: str, known: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)), "")


def _known(names: Iterable[str]) -> str:
    return f"known: {', '.join(sorted(names)) or 'none'}"


def _wrong_type(path: str, wanted: str, value: object) -> PolicyError:
    return PolicyError(
        f"{path or 'document'} must be {wanted}, not {reprlib.repr(value)}", path=path
    )
