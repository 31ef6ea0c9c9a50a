"""The wire format of messages, read without decoding them: which fields lie where.

Decoding turns two bytes into an object of dozens, in one call that nothing interrupts. What a
message would become is therefore counted on its bytes first, in steps that are counted as well.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from heatproof.evaluators.errors import (
    HeatproofError,
    InvalidArgumentError,
    LimitExceededError,
    placed,
)

VARINT: Final = 0
_FIXED64: Final = 1
DELIMITED: Final = 2
_FIXED32: Final = 5
_FIXED_SIZES: Final = MappingProxyType({_FIXED64: 8, _FIXED32: 4})
_LONGEST_VARINT: Final = 10
_MAX_DEPTH: Final = 64
"""Messages inside messages; protobuf's own decoders stop at 100."""

_UNPACKABLE: Final = frozenset(
    {
        FieldDescriptor.CPPTYPE_STRING,
        FieldDescriptor.CPPTYPE_MESSAGE,
    }
)
_PACKED_SIZES: Final = MappingProxyType(
    {
        FieldDescriptor.TYPE_DOUBLE: 8,
        FieldDescriptor.TYPE_FIXED64: 8,
        FieldDescriptor.TYPE_SFIXED64: 8,
        FieldDescriptor.TYPE_FLOAT: 4,
        FieldDescriptor.TYPE_FIXED32: 4,
        FieldDescriptor.TYPE_SFIXED32: 4,
    }
)
"""Bytes of an element of a packed field; all others are varints of at least one."""


def fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yields number, wire type, and start and end of the value of each field.

    Raises:
        InvalidArgumentError: the bytes are no message.
    """
    while start < end:
        tag, start = _varint(data, start, end)
        number, kind = tag >> 3, tag & 7
        if kind == DELIMITED:
            size, start = _varint(data, start, end)
            stop = start + size
        elif kind == VARINT:
            _, stop = _varint(data, start, end)
        else:
            stop = start + _FIXED_SIZES.get(kind, end + 1)  # groups have no place in proto3
        if stop > end or number == 0:
            raise InvalidArgumentError("the message is damaged; its fields do not fit its bytes")
        yield number, kind, start, stop
        start = stop


def _varint(data: bytes, start: int, end: int) -> tuple[int, int]:
    """A number and the place after it."""
    if start < end and data[start] < 128:
        return data[start], start + 1
    value = 0
    for index in range(start, min(end, start + _LONGEST_VARINT)):
        byte = data[index]
        value |= (byte & 127) << 7 * (index - start)
        if byte < 128:
            return value, index + 1
    raise InvalidArgumentError("the message is damaged; a number in it does not end")


MAX_TEXT_BYTES: Final = 16 << 10
"""Most bytes of a text, in UTF-8: names come back in replies, lists, logs and reports."""


def check_counts(
    data: bytes, descriptor: Descriptor, most: Mapping[str, int], max_fields: int
) -> int:
    """Refuses a message whose fields repeat too often or hold endless texts, before decoding.

    Args:
        data: the message.
        descriptor: its type.
        most: most elements by the full name of a repeated field; others are bounded by
            `max_fields` alone.
        max_fields: most fields in all, those of inner messages and packed elements included.

    Returns:
        The number of fields, counted alike.

    Raises:
        InvalidArgumentError: the bytes are no message, or a text is too long; names the field.
        LimitExceededError: too many elements or fields; names the field.
    """
    count = _Count(data, most, max_fields)
    count.walk(descriptor, 0, len(data), _MAX_DEPTH)
    return max_fields - count.left


@dataclass(frozen=True, slots=True)
class _Known:
    """What is asked of a field that may repeat, or holds messages or text; descriptors are slow."""

    name: str
    full_name: str
    is_repeated: bool
    is_text: bool
    inner: Descriptor | None
    packed_size: int

    def place(self, index: int) -> str:
        """Its part of a path; `index` counts where it repeats."""
        return f"{self.name}[{index}]" if self.is_repeated else self.name


@dataclass(slots=True)
class _Count:
    data: bytes
    most: Mapping[str, int]
    left: int

    def walk(self, descriptor: Descriptor, start: int, end: int, depth: int) -> None:
        if not depth:
            raise LimitExceededError(f"the message nests more than {_MAX_DEPTH} messages")
        known = _known(descriptor)
        seen: dict[int, int] = {}
        for number, kind, first, last in fields(self.data, start, end):
            self._spend(1)
            found = known.get(number)
            if found is None:
                continue
            if found.is_repeated:
                before = seen.get(number, 0)
                seen[number] = before + self._counted(found, before, kind, last - first)
            if found.is_text and last - first > MAX_TEXT_BYTES:
                with placed(found.place(seen.get(number, 0) - 1)):
                    raise _endless(last - first)
            if found.inner is not None and kind == DELIMITED and first < last:
                try:  # a context for each of many messages would take longer than reading them
                    self.walk(found.inner, first, last, depth - 1)
                except HeatproofError:
                    with placed(found.place(seen.get(number, 0) - 1)):
                        raise

    def _counted(self, found: _Known, before: int, kind: int, size: int) -> int:
        count = size // found.packed_size if found.packed_size and kind == DELIMITED else 1
        most = self.most.get(found.full_name)
        if most is not None and before + count > most:
            raise LimitExceededError(
                f"{found.name} holds more than {most} elements, the most that are taken",
                field=found.name,
            )
        self._spend(count - 1)
        return count

    def _spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise LimitExceededError("the message holds more fields than any sound one; split it")


@cache
def _known(descriptor: Descriptor) -> Mapping[int, _Known]:
    return {
        field.number: _Known(
            field.name,
            field.full_name,
            field.is_repeated,
            _is_text(field),
            field.message_type,
            _packed_size(field),
        )
        for field in descriptor.fields
        if field.is_repeated or field.message_type is not None or _is_text(field)
    }


def _is_text(field: FieldDescriptor) -> bool:
    return field.type == FieldDescriptor.TYPE_STRING


def _endless(size: int) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"a text of {size} bytes; the most that is taken has {MAX_TEXT_BYTES}"
    )


def _packed_size(field: FieldDescriptor) -> int:
    """Least bytes of a packed element; 0 where fields cannot be packed."""
    if not field.is_repeated or field.cpp_type in _UNPACKABLE:
        return 0
    return _PACKED_SIZES.get(field.type, 1)
