"""Between enum values and string enums: `RESIZE_SHORTEST_SIDE` is `shortest_side`."""

import re
from enum import StrEnum

from google.protobuf.descriptor import EnumDescriptor

from heatproof.evaluators.errors import InvalidArgumentError


def prefix_of(enum: EnumDescriptor) -> str:
    """What the names of the values begin with, such as `CHANNEL_ORDER_`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.name)
    return f"{words.upper()}_"


def decode_enum(enum: EnumDescriptor, number: int, kind: type[StrEnum]) -> StrEnum:
    """Finds the member of a value.

    Raises:
        InvalidArgumentError: the enum has no such value; lists those it has.
    """
    value = enum.values_by_number.get(number)
    if value is None or number == 0:
        known = ", ".join(value.name for value in enum.values if value.number)
        raise InvalidArgumentError(f"{number} is no value of {enum.name}; choose from {known}")
    return kind(value.name.removeprefix(prefix_of(enum)).lower())


def encode_enum(enum: EnumDescriptor, member: StrEnum) -> int:
    """Finds the value of a member."""
    return enum.values_by_name[prefix_of(enum) + member.value.upper()].number
