"""Plug-ins: `Custom` messages name a registered class and give its parameters by name."""

import math
from collections.abc import Collection
from enum import StrEnum
from typing import Any

from google.protobuf import struct_pb2

from heatproof.evaluators.errors import InvalidArgumentError, UnknownNameError, placed
from heatproof.evaluators.registry.parameters import check_parameters
from heatproof.evaluators.registry.registry import Registry
from heatproof.server.api.codec.fields.hints import FieldHint, hints_of
from heatproof.v1 import custom_pb2


def decode_custom(
    message: custom_pb2.Custom, registry: Registry[Any], built_in: Collection[str]
) -> object:
    """Makes the plug-in that a message names.

    Raises:
        UnknownNameError: no class or parameter of that name; offers the nearest.
        InvalidArgumentError: a built-in class, which has a field of its own, or a bad parameter.
    """
    if message.name in built_in:
        raise InvalidArgumentError(
            f"{message.name!r} is no plug-in: set the field `{message.name}` instead", field="name"
        )
    with placed("name"):
        kind = registry[message.name]
    with placed("parameters"):
        value = kind(**_parameters(message.parameters, kind))
        check_parameters(value)
    return value


def encode_custom(value: Any) -> custom_pb2.Custom:  # noqa: ANN401  # any registered class
    """Names a plug-in and lists all its parameters."""
    parameters = struct_pb2.Struct()
    parameters.update({hint.name: getattr(value, hint.name) for hint in hints_of(type(value))})
    return custom_pb2.Custom(name=value.name, parameters=parameters)


def _parameters(given: struct_pb2.Struct, kind: type) -> dict[str, object]:
    hints = {hint.name: hint for hint in hints_of(kind)}
    values = {}
    for name, value in given.items():
        with placed(name):
            if name not in hints:
                raise UnknownNameError.among("parameter", name, hints)
            values[name] = _coerced(value, hints[name])
    return values


def _coerced(value: object, hint: FieldHint) -> object:
    """Takes a JSON value, whose numbers are all floats, to the parameter's type."""
    kind = hint.element
    if issubclass(kind, StrEnum) and value in set(kind):
        return kind(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind is float and isinstance(value, float) and math.isfinite(value):
        return value
    if kind in {bool, str} and isinstance(value, kind):
        return value
    wanted = (
        f"one of {', '.join(kind)}" if issubclass(kind, StrEnum) else f"of type {kind.__name__}"
    )
    raise InvalidArgumentError(f"{hint.name} must be {wanted}, not {value!r}")
