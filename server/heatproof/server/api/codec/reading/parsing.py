"""From bytes to messages, in pieces that let other threads run in between."""

from typing import Final, TypeVar, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.server.api.codec.fields.descriptors import map_value
from heatproof.server.api.codec.reading.wire import DELIMITED, fields

M = TypeVar("M", bound=Message)

_AT_ONCE_FIELDS: Final = 20_000
_PIECE_BYTES: Final = 1 << 18
"""Decoding holds the interpreter's lock: this much takes it for a few milliseconds at most."""


def parsed(data: bytes, kind: type[M], *, fields_count: int) -> M:
    """Decodes a message; equal to `kind.FromString(data)`.

    Args:
        data: the message on the wire.
        kind: its class.
        fields_count: number of its fields, inner ones included; few are decoded at once, for
            then there is nothing to do but to copy bytes.

    Raises:
        InvalidArgumentError: the bytes are no such message.
    """
    message = kind()
    try:
        if fields_count <= _AT_ONCE_FIELDS:
            message.MergeFromString(data)
        else:
            _merge(message, data, 0, len(data))
    except DecodeError as error:
        # The decoder's own words hold an address or nothing.
        raise InvalidArgumentError(
            f"the bytes are no {kind.DESCRIPTOR.name}; check the client against the contract"
        ) from error
    return message


def _merge(message: Message, data: bytes, start: int, end: int) -> None:
    """Decodes field after field: the concatenation of pieces is what the whole would give."""
    if end - start <= _PIECE_BYTES:
        message.MergeFromString(data[start:end])
        return
    begin = start
    stop = start
    for number, kind, first, last in fields(data, start, end):
        inner = cast("FieldDescriptor | None", message.DESCRIPTOR.fields_by_number.get(number))
        is_large = last - first > _PIECE_BYTES and kind == DELIMITED and _is_message(inner)
        if (is_large or last - begin > _PIECE_BYTES) and stop > begin:
            message.MergeFromString(data[begin:stop])
            begin = stop
        if is_large and inner is not None:
            _merge(_child(message, inner), data, first, last)
            begin = last
        stop = last
    message.MergeFromString(data[begin:end])


def _is_message(field: FieldDescriptor | None) -> bool:
    return field is not None and field.message_type is not None and map_value(field) is None


def _child(message: Message, field: FieldDescriptor) -> Message:
    """The message inside that the next bytes of a field belong to."""
    value = getattr(message, field.name)
    if field.is_repeated:
        return value.add()  # type: ignore[no-any-return]  # containers are untyped
    value.SetInParent()
    return value  # type: ignore[no-any-return]  # as above
