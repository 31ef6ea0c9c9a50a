"""Registries of metrics, explainers, removal operators and kinds of regions.

The catalog service, the validator and the tables of the docs all read these registries.
"""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar, cast

from heatproof.evaluators.errors import UnknownNameError


class Reads(StrEnum):
    """What comes from outside into a score or a map; whoever declares it is handed it.

    Attributes:
        ATTRIBUTION: the map of an explainer.
        EXPLAINER: the explainer itself, which makes maps anew; supplied maps do not serve.
        REMOVAL: a removal operator.
        OBJECTS: the object mask of the image, or its boxes if it came without one.
        BOXES: the boxes around objects of the image.
        LABEL: the true class of the image.
        MAPS: the maps that were uploaded with the image.
        RANDOMIZED_MODELS: the model with weights of some layers drawn anew.
        PANEL: the image as all models of the spec see it; one score for all of them.
        PANEL_MAPS: the explainer's map on every model of the spec; a score for each of them.
        PANEL_TARGETS: what of each model's answers is explained; the models have the same classes.
        DONORS: other images of the data set.
        COUNTERPART: the image after an attack on the model's answer to it.
        REPLACEMENT: the image that was uploaded to be shown in place of this one.
    """

    ATTRIBUTION = "attribution"
    EXPLAINER = "explainer"
    REMOVAL = "removal"
    OBJECTS = "objects"
    BOXES = "boxes"
    LABEL = "label"
    MAPS = "maps"
    RANDOMIZED_MODELS = "randomized_models"
    PANEL = "panel"
    PANEL_MAPS = "panel_maps"
    PANEL_TARGETS = "panel_targets"
    DONORS = "donors"
    COUNTERPART = "counterpart"
    REPLACEMENT = "replacement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a registered class says of itself; its docstring's first sentence is its summary.

    Attributes:
        name: key in the registry, field of the proto's oneof, name of the module.
        reference: paper it comes from, or `Heatproof` for a definition of its own.
        reads: what comes into it from outside.
    """

    name: str
    reference: str
    reads: tuple[Reads, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelledDonors:
    """How many other images of the data set an image is handed by their labels, all different.

    Attributes:
        same: of its own label.
        other: of other labels.
    """

    same: int = 0
    other: int = 0

    def __bool__(self) -> bool:
        return self != LabelledDonors()


class Registered:
    """What metrics, explainers, removal operators and kinds of regions have in common.

    Equal values are one thing.
    """

    __slots__ = ()

    facts: ClassVar[Facts]

    parameter_type: ClassVar[str] = ""
    """What a parameter is whose value is one of the kind; "" if none is."""

    @property
    def name(self) -> str:
        """Key in the registry."""
        return self.facts.name

    @property
    def reads(self) -> tuple[Reads, ...]:
        """What comes into it from outside; parameters may add to it."""
        return self.facts.reads

    @property
    def removal_draws(self) -> int:
        """How many draws of what a random removal operator paints it looks at."""
        return 1

    @property
    def donors(self) -> int:
        """How many other images of the data set it is handed, if it reads them."""
        return 1

    @property
    def labelled_donors(self) -> LabelledDonors:
        """How many more it is handed by their labels, if it reads other images."""
        return LabelledDonors()


T = TypeVar("T", bound=Registered)
C = TypeVar("C", bound=Registered)


def parts_of(thing: Registered) -> Iterator[Registered]:
    """The thing and whatever registered things its parameters hold, such as removal operators."""
    yield thing
    for declared in fields(cast("Any", thing)):
        value = getattr(thing, declared.name)
        if isinstance(value, Registered):
            yield from parts_of(value)


def reads_deeply(thing: Registered, what: Reads) -> bool:
    """Whether a thing, or one that its parameters hold, reads this."""
    return any(what in part.reads for part in parts_of(thing))


def reads_donors(thing: Registered) -> bool:
    """Whether a thing, or one that its parameters hold, reads other images of the data set."""
    return reads_deeply(thing, Reads.DONORS)


def summary_of(kind: type) -> str:
    """The first sentence of a registered class's docstring."""
    paragraph = (inspect.getdoc(kind) or "").split("\n\n", 1)[0]
    return " ".join(paragraph.split())


class Registry(Generic[T]):
    """Classes of one kind by name; a duplicate raises."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._classes: dict[str, type[T]] = {}

    def register(self, cls: type[C]) -> type[C]:
        """Registers the decorated class, which keeps its own type, under its `facts.name`.

        Raises:
            ValueError: the name is taken; a mistake of a plug-in's author.
        """
        name = cls.facts.name
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
