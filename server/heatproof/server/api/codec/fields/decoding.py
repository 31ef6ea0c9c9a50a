"""From messages to values."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast

from google.protobuf import timestamp_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from heatproof.evaluators.errors import InvalidArgumentError, placed
from heatproof.evaluators.images.preprocessing import Preprocessing, preset
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.registry.parameters import check_parameters
from heatproof.server.api.codec.fields.choices import CUSTOM, REGISTRIES
from heatproof.server.api.codec.fields.custom import decode_custom
from heatproof.server.api.codec.fields.descriptors import fields_of, is_set, map_value
from heatproof.server.api.codec.fields.enums import decode_enum
from heatproof.server.api.codec.fields.hints import FieldHint, hints_of
from heatproof.server.api.codec.fields.targets import decode_target
from heatproof.v1 import preprocessing_pb2, results_pb2, target_pb2

T = TypeVar("T")

_ZEROS: Final = {str: "", bytes: b"", bool: False, int: 0, float: 0.0}


def decode(message: Message, kind: type[T]) -> T:
    """Makes a dataclass of a message; fields pair up by name.

    Unset fields, and zeros of fields without presence, take the dataclass's default.

    Raises:
        InvalidArgumentError: a field is missing or out of range; names its path.
    """
    special = _SPECIAL.get(message.DESCRIPTOR.full_name)
    return cast("T", special(message)) if special else _plain(message, kind)


def _plain(message: Message, kind: type[T]) -> T:
    return kind(**_given(message, kind), **_absent(message, kind))


def _given(message: Message, kind: type) -> dict[str, Any]:
    """The values of the fields that are set."""
    values = {}
    for hint, field in _pairs(message, kind):
        if is_set(message, field):
            values[hint.name] = _value(getattr(message, hint.name), field, hint)
    return values


def _absent(message: Message, kind: type) -> dict[str, Any]:
    """Values of the fields that are not set and have no default."""
    return {
        hint.name: _zero(field, hint)
        for hint, field in _pairs(message, kind)
        if not hint.has_default and not is_set(message, field)
    }


def _pairs(message: Message, kind: type) -> list[tuple[FieldHint, FieldDescriptor]]:
    fields = fields_of(message)
    return [(hint, fields[hint.name]) for hint in hints_of(kind)]


def _zero(field: FieldDescriptor, hint: FieldHint) -> object:
    if hint.optional:
        return None
    if field.is_repeated:
        return {} if map_value(field) else ()
    if field.message_type is not None or field.enum_type is not None:
        raise InvalidArgumentError(f"{field.name} is required; set it", field=field.name)
    if isinstance(hint.element, type) and issubclass(hint.element, StrEnum):
        choices = ", ".join(hint.element)
        raise InvalidArgumentError(
            f"{field.name} is required; choose from {choices}", field=field.name
        )
    return _ZEROS.get(hint.element, "")


def _value(value: Any, field: FieldDescriptor, hint: FieldHint) -> object:  # noqa: ANN401  # protobuf's values
    if not field.is_repeated:
        with placed(field.name):
            return _single(value, field, hint.element)
    inner = map_value(field)
    if inner is not None:
        return _mapping(value, field.name, inner, hint)
    return tuple(
        _item(item, field, hint.element, f"{field.name}[{index}]")
        for index, item in enumerate(value)
    )


def _mapping(
    value: Mapping[str, Any], name: str, inner: FieldDescriptor, hint: FieldHint
) -> Mapping[str, object]:
    return {
        key: _item(item, inner, hint.element, f"{name}[{key!r}]") for key, item in value.items()
    }


def _item(value: Any, field: FieldDescriptor, kind: Any, path: str) -> object:  # noqa: ANN401  # as above
    with placed(path):
        return _single(value, field, kind)


def _single(value: Any, field: FieldDescriptor, kind: Any) -> object:  # noqa: ANN401  # as above
    if field.message_type is not None:
        return decode(value, kind)
    if field.enum_type is not None:
        return decode_enum(field.enum_type, value, kind)
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidArgumentError(f"{field.name} must be finite, not {value}")
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return _word(str(value), field, kind)
    return value


def _word(value: str, field: FieldDescriptor, kind: type[StrEnum]) -> StrEnum:
    if value not in set(kind):
        raise InvalidArgumentError(f"{field.name} must be one of {', '.join(kind)}, not {value!r}")
    return kind(value)


def decode_choice(message: Message) -> Any:  # noqa: ANN401  # any registered class
    """Makes what a message chooses from a registry: a metric, explainer or removal operator.

    Raises:
        UnknownNameError: a plug-in of that name is not installed; offers the nearest.
        InvalidArgumentError: nothing is chosen, or a parameter is out of range; names its path.
    """
    registry = REGISTRIES[message.DESCRIPTOR.full_name]
    arm = message.WhichOneof(message.DESCRIPTOR.oneofs[0].name)
    if arm is None:
        raise InvalidArgumentError(
            f"no {registry.kind} is chosen; choose from {', '.join(registry)}"
        )
    with placed(arm):
        if arm == CUSTOM:
            return decode_custom(getattr(message, arm), registry, fields_of(message))
        value = _plain(getattr(message, arm), registry[arm])
        check_parameters(value)
        return value


def _score(message: results_pb2.Score) -> float | Undefined:
    if message.WhichOneof("outcome") is None:
        raise InvalidArgumentError("a score is either a value or undefined; set one of them")
    if message.HasField("undefined"):
        return _plain(message.undefined, Undefined)
    if not math.isfinite(message.value):
        raise InvalidArgumentError(f"a score must be finite, not {message.value}", field="value")
    return message.value


def _preprocessing(message: preprocessing_pb2.Preprocessing) -> Preprocessing:
    if message.preset:
        return replace(preset(message.preset), **_given(message, Preprocessing))
    if not message.resize:
        raise InvalidArgumentError(
            "preprocessing has neither a preset nor a resize, and a wrong one still gives likely "
            "classes, so there is no default: name a preset (imagenet, tf or unit) or set resize",
            field="resize",
        )
    return _plain(message, Preprocessing)


_SPECIAL: Final[Mapping[str, Callable[[Any], object]]] = MappingProxyType(
    {
        results_pb2.Score.DESCRIPTOR.full_name: _score,
        preprocessing_pb2.Preprocessing.DESCRIPTOR.full_name: _preprocessing,
        timestamp_pb2.Timestamp.DESCRIPTOR.full_name: lambda message: message.ToDatetime(UTC),
        target_pb2.Target.DESCRIPTOR.full_name: decode_target,
        **dict.fromkeys(REGISTRIES, decode_choice),
    }
)
"""Messages that are not a dataclass of the same fields."""
