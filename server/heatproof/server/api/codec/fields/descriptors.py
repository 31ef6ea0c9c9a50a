"""What the codec asks of the descriptors of the contract."""

from collections.abc import Mapping
from functools import cache
from typing import cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message


def fields_of(message: Message) -> Mapping[str, FieldDescriptor]:
    """The fields of a message, by name."""
    return cast("Mapping[str, FieldDescriptor]", message.DESCRIPTOR.fields_by_name)


@cache
def map_value(field: FieldDescriptor) -> FieldDescriptor | None:
    """The field of a map's values, or None if a field is no map."""
    kind = field.message_type
    if kind is None or not kind.GetOptions().map_entry:
        return None
    return kind.fields_by_name["value"]


def is_set(message: Message, field: FieldDescriptor) -> bool:
    """Whether a field is present; without presence: whether it is not zero or empty."""
    if field.has_presence:
        return message.HasField(field.name)
    value = getattr(message, field.name)
    return len(value) > 0 if field.is_repeated else bool(value)
