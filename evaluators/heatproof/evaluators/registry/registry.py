"""Registries of metrics, explainers and removal operators.

The catalog service, the validator and the tables of the docs all read these registries.
"""

import inspect
from collections.abc import Iterator
from enum import StrEnum
from typing import ClassVar, Generic, Protocol, TypeVar, cast, runtime_checkable

from heatproof.evaluators.errors import UnknownNameError


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


def summary_of(kind: type) -> str:
    """The first sentence of a registered class's docstring."""
    paragraph = (inspect.getdoc(kind) or "").split("\n\n", 1)[0]
    return " ".join(paragraph.split())


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
