"""Registries of metrics, explainers and removal operators, and the metadata of their parameters.

The catalogue service, the validator and the tables of the docs all read these registries.
"""

import inspect
import math
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from enum import StrEnum
from typing import Any, ClassVar, Final, Generic, Protocol, TypeVar, cast, runtime_checkable

from heatproof.evaluators.errors import InvalidArgumentError, UnknownNameError


class Need(StrEnum):
    """What a metric, explainer or removal operator cannot do without."""

    EXPLAINER = "explainer"
    REMOVAL = "removal"
    GRADIENTS = "gradients"
    ACTIVATION_GRADIENTS = "activation_gradients"
    LAYER_MASKING = "layer_masking"
    MAPS = "maps"


@runtime_checkable
class Registered(Protocol):
    """What every registered class says of itself; its docstring's first sentence is its summary.

    Attributes:
        name: key in the registry, field of the proto's oneof, name of the module's topic.
        reference: paper it comes from, or `Heatproof` for a definition of its own.
        needs: what it cannot do without.
    """

    name: ClassVar[str]
    reference: ClassVar[str]
    needs: ClassVar[tuple[Need, ...]]


T = TypeVar("T")
C = TypeVar("C")


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
        type: `int`, `float`, `str`, `choice` or `removal`.
        default: default as text.
        range: range or choices as text, "" if free.
        summary: what it sets.
    """

    name: str
    type: str
    default: str
    range: str
    summary: str


def parameter(default: Any, summary: str, *, within: Range | None = None) -> Any:  # noqa: ANN401  # as dataclasses.field
    """Declares a parameter of a metric, explainer or removal operator."""
    return field(default=default, metadata={"summary": summary, "within": within})


def check_parameters(thing: object) -> None:
    """Refuses numbers outside their declared ranges, nested ones included.

    Raises:
        InvalidArgumentError: names parameter, value and range.
    """
    for declared in fields(cast("Any", thing)):
        within: Range | None = declared.metadata.get("within")
        value = getattr(thing, declared.name)
        if within is not None and value not in within:
            raise InvalidArgumentError(
                f"{declared.name} must lie in {within}, not {value}", field=declared.name
            )
        if is_dataclass(value):
            _check_nested(value, declared.name)


def _check_nested(thing: object, name: str) -> None:
    try:
        check_parameters(thing)
    except InvalidArgumentError as error:
        kind = getattr(thing, "name", "")
        path = ".".join(part for part in (name, kind, error.field) if part)
        raise InvalidArgumentError(f"{name}: {error.message}", field=path) from error


def summary_of(kind: type) -> str:
    """The first sentence of a registered class's docstring."""
    paragraph = (inspect.getdoc(kind) or "").split("\n\n", 1)[0]
    return " ".join(paragraph.split())


def parameters_of(kind: type) -> tuple[ParameterFacts, ...]:
    """Describes the parameters of a registered class."""
    return tuple(_facts(declared) for declared in fields(cast("Any", kind)))


def _facts(declared: "Field[Any]") -> ParameterFacts:
    default = None if declared.default is MISSING else declared.default
    within = declared.metadata.get("within")
    choices = ", ".join(type(default)) if isinstance(default, StrEnum) else ""
    return ParameterFacts(
        name=declared.name,
        type=_type_name(default),
        default=str(getattr(default, "name", default) if _is_nested(default) else default),
        range=str(within) if within is not None else choices,
        summary=declared.metadata.get("summary", ""),
    )


def _type_name(default: object) -> str:
    if isinstance(default, StrEnum):
        return "choice"
    return type(default).__name__ if isinstance(default, int | float | str) else "removal"


def _is_nested(default: object) -> bool:
    return not isinstance(default, int | float | str)


class Registry(Generic[T]):
    """Classes of one kind, each `Registered`, by name; a duplicate raises."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._classes: dict[str, type[T]] = {}

    def register(self, cls: type[C]) -> type[C]:
        """Registers the decorated class, which keeps its own type, under its `name`.

        Raises:
            ValueError: the name is taken; a mistake of a plug-in's author.
        """
        name = cast("type[Registered]", cls).name
        if name in self._classes:
            message = f"two {self.kind}s named {name!r}"
            raise ValueError(message)
        self._classes[name] = cast("type[T]", cls)
        return cls

    def __getitem__(self, name: str) -> type[T]:
        """Finds a class.

        Raises:
            UnknownNameError: offers the nearest name.
        """
        if name not in self._classes:
            raise UnknownNameError.among(self.kind, name, self._classes)
        return self._classes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._classes))

    def __contains__(self, name: str) -> bool:
        return name in self._classes
