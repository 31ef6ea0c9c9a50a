"""Parameters of what is registered: their ranges and what is said of them."""

import math
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from enum import StrEnum
from typing import Any, Final, cast

from heatproof.evaluators.errors import InvalidArgumentError, placed


@dataclass(frozen=True, slots=True)
class Range:
    """An interval of numbers; an end may be excluded."""

    lower: int | float  # beartype knows no numeric tower
    upper: int | float
    lower_included: bool = True
    upper_included: bool = True

    def __contains__(self, value: int | float) -> bool:  # noqa: PYI041  # as above
        above = value >= self.lower if self.lower_included else value > self.lower
        below = value <= self.upper if self.upper_included else value < self.upper
        return math.isfinite(value) and above and below

    def __str__(self) -> str:
        opening = "[" if self.lower_included else "("
        closing = "]" if self.upper_included else ")"
        return f"{opening}{self.lower:g}, {self.upper:g}{closing}"

    @property
    def width(self) -> float:
        """Upper less lower end; infinite if an end is."""
        return float(self.upper - self.lower)

    def clip(self, value: float) -> float:
        """The number of the range that is nearest to `value`."""
        return float(min(max(value, self.lower), self.upper))


UNBOUNDED: Final = Range(-math.inf, math.inf, lower_included=False, upper_included=False)
"""All finite numbers."""

UNIT: Final = Range(0, 1)
"""Probabilities and shares."""

NOT_NEGATIVE: Final = Range(0, math.inf, upper_included=False)
"""Counts and areas relative to something."""


@dataclass(frozen=True, slots=True)
class ParameterFacts:
    """What is known of a parameter.

    Attributes:
        name: field of the dataclass and of the proto message.
        type: `int`, `float`, `numbers`, `str`, `choice`, or what a nested value says of itself,
            such as `removal`.
        default: default as text.
        range: range or choices as text, "" if free.
        summary: what it sets.
    """

    name: str
    type: str
    default: str
    range: str
    summary: str


def parameter(
    default: Any,  # noqa: ANN401  # as dataclasses.field
    summary: str,
    *,
    within: Range | None = None,
    is_shared: bool = False,
) -> Any:  # noqa: ANN401  # as dataclasses.field
    """Declares a parameter of a metric, explainer or removal operator.

    Args:
        default: its value where none is given.
        summary: what it sets.
        within: where numbers must lie.
        is_shared: whether many have it: given by name alone and listed last.
    """
    metadata = {"summary": summary, "within": within}
    return field(default=default, metadata=metadata, kw_only=True if is_shared else MISSING)


def check_parameters(thing: object) -> None:
    """Refuses numbers outside their declared ranges, nested ones included.

    Raises:
        InvalidArgumentError: names parameter, value and range.
    """
    for declared in fields(cast("Any", thing)):
        within: Range | None = declared.metadata.get("within")
        value = getattr(thing, declared.name)
        if within is not None:
            _check_range(declared.name, value, within)
        if is_dataclass(value):
            _check_nested(value, declared.name)


def _check_range(name: str, value: int | float | tuple[int | float, ...], within: Range) -> None:  # noqa: PYI041  # beartype knows no numeric tower
    if not isinstance(value, tuple):
        if value not in within:
            raise InvalidArgumentError(f"{name} must lie in {within}, not {value}", field=name)
        return
    for index, item in enumerate(value):
        _check_range(f"{name}[{index}]", item, within)


def _check_nested(thing: object, name: str) -> None:
    kind = getattr(thing, "name", "")
    with placed(f"{name}.{kind}" if kind else name):
        check_parameters(thing)


def parameters_of(kind: type) -> tuple[ParameterFacts, ...]:
    """Describes the parameters of a registered class; what it shares with others last."""
    declared = sorted(fields(cast("Any", kind)), key=lambda one: bool(one.kw_only))
    return tuple(map(_facts, declared))


def _facts(declared: "Field[Any]") -> ParameterFacts:
    default = None if declared.default is MISSING else declared.default
    within = declared.metadata.get("within")
    choices = ", ".join(type(default)) if isinstance(default, StrEnum) else ""
    return ParameterFacts(
        name=declared.name,
        type=_type_name(default),
        default=_text(default),
        range=str(within) if within is not None else choices,
        summary=declared.metadata.get("summary", ""),
    )


def _text(default: object) -> str:
    if isinstance(default, tuple):
        return ", ".join(map(str, default))
    return str(getattr(default, "name", default) if _is_nested(default) else default)


def _type_name(default: object) -> str:
    if isinstance(default, StrEnum):
        return "choice"
    if isinstance(default, tuple):
        return "numbers"
    if isinstance(default, int | float | str):
        return type(default).__name__
    return str(cast("Any", default).parameter_type)


def _is_nested(default: object) -> bool:
    return not isinstance(default, int | float | str)


def at_most(most: int, *, least: int, otherwise: str) -> str:
    """The way out of a parameter that is too large: the largest value, or what to do if none fits.

    Args:
        most: the largest value that would fit.
        least: the smallest that the parameter takes.
        otherwise: what else can be chosen.
    """
    return f"at most {most}" if most >= least else f"none fits; {otherwise}"
