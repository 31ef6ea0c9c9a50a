"""Finds messages of a kind anywhere inside a protobuf message.

The walk follows the descriptors of the schema, not a list of fields kept by hand: what a later
version of ONNX adds is found too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeAlias, TypeVar

Message: TypeAlias = Any
Descriptor: TypeAlias = Any
"""Of protobuf, which comes with ONNX and which the graphs know only through it."""

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Found(Generic[M]):
    """A message and where it sits.

    Attributes:
        message: the message.
        field: the field of its parent that holds it; "" for the root.
        index: its place if the field is repeated.
        parent: what holds it; None for the root.
    """

    message: M
    field: str = ""
    index: int | None = None
    parent: "Found[Message] | None" = None

    @property
    def place(self) -> str:
        """The path from the root, such as `graph.node[3].attribute[0].t`."""
        steps = [
            one.field if one.index is None else f"{one.field}[{one.index}]"
            for one in self.lineage()
            if one.field
        ]
        return ".".join(reversed(steps))

    @property
    def nesting(self) -> int:
        """How many messages of its own kind hold it."""
        kind = type(self.message)
        return sum(type(one.message) is kind for one in self.lineage()) - 1

    def lineage(self) -> "Iterator[Found[Message]]":
        """The message itself and all that hold it, outwards."""
        one: Found[Message] | None = self
        while one is not None:
            yield one
            one = one.parent


def find(root: Message, kind: type[M]) -> Iterator[Found[M]]:
    """Every message of a kind, the root included, in the order of the schema."""
    wanted: str = kind.DESCRIPTOR.full_name  # type: ignore[attr-defined] # a kind of message
    pending: list[Found[Message]] = [Found(root)]
    while pending:
        found = pending.pop()
        if found.message.DESCRIPTOR.full_name == wanted:
            yield found
        pending.extend(reversed(list(_children(found, wanted))))


def _children(found: Found[Message], wanted: str) -> Iterator[Found[Message]]:
    """Messages directly below that are of a kind or may hold it."""
    message = found.message
    for name, is_repeated in _fields_towards(message.DESCRIPTOR, wanted):
        if is_repeated:
            for index, child in enumerate(getattr(message, name)):
                yield Found(child, name, index, found)
        elif message.HasField(name):
            yield Found(getattr(message, name), name, None, found)


@cache
def _fields_towards(descriptor: Descriptor, wanted: str) -> tuple[tuple[str, bool], ...]:
    """Fields of a message that lead to messages of a kind, and whether they are repeated."""
    return tuple(
        (field.name, field.is_repeated)
        for field in descriptor.fields
        if field.message_type is not None and wanted in _reachable(field.message_type)
    )


@cache
def _reachable(descriptor: Descriptor) -> frozenset[str]:
    """Full names of the kinds of message that a message may be or hold, at any depth."""
    seen = {descriptor.full_name: descriptor}
    pending = [descriptor]
    while pending:
        kinds = [field.message_type for field in pending.pop().fields if field.message_type]
        pending.extend(kind for kind in kinds if kind.full_name not in seen)
        seen |= {kind.full_name: kind for kind in kinds}
    return frozenset(seen)


def count_entries(root: Message, most: int) -> int:
    """Number of messages and of items of lists inside a message, but for the numbers of tensors.

    Counting ends soon after `most`.
    """
    total, pending = 1, [root]
    while pending and total <= most:
        message = pending.pop()
        lists, singles, deep = _countable(message.DESCRIPTOR)
        total += sum(len(getattr(message, name)) for name in lists)
        for name in singles:
            if message.HasField(name):
                total += 1
                pending.append(getattr(message, name))
        for name in deep:
            pending.extend(getattr(message, name))
    return total


@cache
def _countable(descriptor: Descriptor) -> tuple[tuple[str, ...], ...]:
    """Lists, single messages, and lists of messages that hold others, of a kind of message."""
    fields = [field for field in descriptor.fields if field.name not in _NUMBERS]
    lists = [field for field in fields if field.is_repeated]
    return (
        tuple(field.name for field in lists),
        tuple(field.name for field in fields if field.message_type and not field.is_repeated),
        tuple(field.name for field in lists if field.message_type and _holds_lists(field)),
    )


def _holds_lists(field: Descriptor) -> bool:
    return any(inner.message_type or inner.is_repeated for inner in field.message_type.fields)


_NUMBERS = frozenset({"float_data", "int32_data", "int64_data", "double_data", "uint64_data"})
"""Fields of a tensor that are as long as its shape says."""
