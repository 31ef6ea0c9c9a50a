"""From values to messages."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

from google.protobuf import timestamp_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from heatproof.server.api.codec.fields.choices import CUSTOM, REGISTRIES
from heatproof.server.api.codec.fields.custom import encode_custom
from heatproof.server.api.codec.fields.descriptors import fields_of, map_value
from heatproof.server.api.codec.fields.enums import encode_enum
from heatproof.server.api.codec.fields.hints import hints_of
from heatproof.server.api.codec.fields.targets import fill_target
from heatproof.server.api.codec.fields.tensors import fill_tensor
from heatproof.v1 import results_pb2, target_pb2, tensor_pb2

M = TypeVar("M", bound=Message)


def encode(value: object, kind: type[M]) -> M:
    """Makes a message of a dataclass; fields pair up by name and None is left unset."""
    message = kind()
    _fill(message, value)
    return message


def _fill(message: Message, value: Any) -> None:  # noqa: ANN401  # any dataclass, and what the table below lists
    message.SetInParent()
    special = _SPECIAL.get(message.DESCRIPTOR.full_name)
    if special:
        special(message, value)
    else:
        _fill_fields(message, value)


def _fill_fields(message: Message, value: object) -> None:
    for hint in hints_of(type(value)):
        item = getattr(value, hint.name)
        if item is not None:
            _put(message, fields_of(message)[hint.name], item)


def _put(message: Message, field: FieldDescriptor, value: Any) -> None:  # noqa: ANN401  # as above
    target = getattr(message, field.name)
    if field.message_type is None:
        if field.is_repeated:
            target.extend(value)
        else:
            setattr(message, field.name, _scalar(field, value))
    elif (inner := map_value(field)) is not None:
        _fill_map(target, inner, value)
    elif field.is_repeated:
        for item in value:
            _fill(target.add(), item)
    else:
        _fill(target, value)


def _fill_map(target: Any, inner: FieldDescriptor, value: Mapping[str, Any]) -> None:  # noqa: ANN401  # protobuf's map types
    for key, item in value.items():
        if inner.message_type is not None:
            _fill(target[key], item)
        else:
            target[key] = item


def _scalar(field: FieldDescriptor, value: Any) -> object:  # noqa: ANN401  # as above
    return value if field.enum_type is None else encode_enum(field.enum_type, value)


def _fill_choice(message: Message, value: Any) -> None:  # noqa: ANN401  # any registered class
    if value.name in message.DESCRIPTOR.fields_by_name:
        arm = getattr(message, value.name)
        arm.SetInParent()
        _fill_fields(arm, value)
    else:
        getattr(message, CUSTOM).CopyFrom(encode_custom(value))


def _fill_score(message: results_pb2.Score, value: object) -> None:
    if isinstance(value, float | int):
        message.value = value
    else:
        _fill(message.undefined, value)


_SPECIAL: Final[Mapping[str, Callable[[Any, Any], None]]] = MappingProxyType(
    {
        results_pb2.Score.DESCRIPTOR.full_name: _fill_score,
        tensor_pb2.Tensor.DESCRIPTOR.full_name: fill_tensor,
        timestamp_pb2.Timestamp.DESCRIPTOR.full_name: lambda message, time: message.FromDatetime(
            time
        ),
        target_pb2.Target.DESCRIPTOR.full_name: fill_target,
        **dict.fromkeys(REGISTRIES, _fill_choice),
    }
)
"""Messages that are not a dataclass of the same fields."""
