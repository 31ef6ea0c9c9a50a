"""Refuses requests that lack a field which the contract calls REQUIRED."""

from functools import cache
from types import MappingProxyType
from typing import Final

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from heatproof.evaluators.errors import InvalidArgumentError, placed
from heatproof.server.api.codec.fields.descriptors import map_value

_HINTS: Final = MappingProxyType(
    {
        "Preprocessing": "a wrong one still gives likely classes, so there is no default: name a "
        "preset (imagenet, tf or unit) or set resize",
    }
)


def check_required(message: Message) -> None:
    """Looks for unset required fields: empty texts, lists and messages, unspecified enums.

    Numbers are let through, for 0 is a number.

    Raises:
        InvalidArgumentError: names the field.
    """
    for field in _required(message.DESCRIPTOR):
        if not _is_set(message, field):
            raise InvalidArgumentError(
                f"{field.name} is required; {_way_out(field)}", field=field.name
            )
    for field, value in message.ListFields():
        if field.message_type is not None and _may_lack(field.message_type):
            _check_inside(field, value)


def _check_inside(field: FieldDescriptor, value: Message) -> None:
    if not field.is_repeated:
        with placed(field.name):
            check_required(value)
        return
    if map_value(field) is None:
        for index, item in enumerate(value):  # type: ignore[arg-type, var-annotated]  # a repeated field's value is a container
            with placed(f"{field.name}[{index}]"):
                check_required(item)


def _is_set(message: Message, field: FieldDescriptor) -> bool:
    if field.is_repeated:
        return len(getattr(message, field.name)) > 0
    if field.has_presence:
        return message.HasField(field.name)
    is_number = field.cpp_type not in {FieldDescriptor.CPPTYPE_STRING, FieldDescriptor.CPPTYPE_ENUM}
    return is_number or bool(getattr(message, field.name))


def _way_out(field: FieldDescriptor) -> str:
    if field.enum_type is not None:
        return "choose from " + ", ".join(value.name for value in field.enum_type.values[1:])
    if field.message_type is not None and field.message_type.name in _HINTS:
        return _HINTS[field.message_type.name]
    return "give at least one" if field.is_repeated else "set it"


@cache
def _required(descriptor: Descriptor) -> tuple[FieldDescriptor, ...]:
    return tuple(
        field
        for field in descriptor.fields
        if field_behavior_pb2.REQUIRED
        in field.GetOptions().Extensions[
            field_behavior_pb2.field_behavior  # pyright: ignore[reportArgumentType]  # untyped module
        ]
    )


@cache
def _may_lack(descriptor: Descriptor) -> bool:
    """Whether a required field is anywhere inside, so that results are not searched in vain."""
    return any(_required(inner) for inner in _inner(descriptor, set()))


def _inner(descriptor: Descriptor, seen: set[Descriptor]) -> set[Descriptor]:
    if descriptor not in seen:
        seen.add(descriptor)
        for field in descriptor.fields:
            if field.message_type is not None:
                _inner(field.message_type, seen)
    return seen
