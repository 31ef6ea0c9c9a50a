"""What the annotations of a dataclass say about its fields."""

import dataclasses
import types
import typing
from collections.abc import Hashable, Mapping
from dataclasses import MISSING, dataclass
from functools import cache
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class FieldHint:
    """What is known of a field.

    Attributes:
        name: of the dataclass field, and of the message's.
        element: type of the value, or of the elements of a tuple or mapping.
        optional: whether None is a value.
        has_default: whether the field may be left out.
    """

    name: str
    element: Any
    optional: bool
    has_default: bool


def hints_of(kind: type) -> tuple[FieldHint, ...]:
    """Reads the annotations of a dataclass."""
    return _hints(cast("Hashable", kind))


@cache
def _hints(kind: Any) -> tuple[FieldHint, ...]:  # noqa: ANN401  # mypy takes classes for unhashable
    annotations = typing.get_type_hints(kind)
    return tuple(
        FieldHint(
            name=field.name,
            element=_element(annotations[field.name]),
            optional=type(None) in typing.get_args(annotations[field.name]),
            has_default=field.default is not MISSING or field.default_factory is not MISSING,
        )
        for field in dataclasses.fields(kind)
    )


def _element(annotation: Any) -> Any:  # noqa: ANN401  # annotations have no common type
    """Takes `X | None`, `tuple[X, ...]` and `Mapping[str, X]` to X; leaves other unions alone."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in {typing.Union, types.UnionType}:
        kinds = [argument for argument in arguments if argument is not type(None)]
        return _element(kinds[0]) if len(kinds) == 1 else annotation
    if origin is tuple:
        return _element(arguments[0])
    if origin in {dict, Mapping}:
        return _element(arguments[1])
    return annotation
