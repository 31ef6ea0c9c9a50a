"""Short names for what a report speaks of."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Self

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from heatproof.client.documents.messages import short_name
from heatproof.v1.comparison_pb2 import ModelComparison
from heatproof.v1.model_pb2 import Model
from heatproof.v1.results_pb2 import MetricResult

_MODEL: Final = re.compile(r"models/[\w-]+")

_ALWAYS_TOLD: Final[Mapping[str, str]] = MappingProxyType({"against": "models"})
"""Values of parameters that a caption names even where all results have them: nothing else beside
it says that a map is held against those of other models."""

DIGEST_DIGITS: Final = 12
"""Digits of a digest that a short name shows."""


def chosen(message: Message) -> tuple[str, Message | None]:
    """Name and parameters of a metric, explainer or removal operator; empty if it is unset.

    A plug-in has its registered name.
    """
    arm = message.WhichOneof(message.DESCRIPTOR.oneofs[0].name)
    if arm is None:
        return "", None
    parameters = getattr(message, arm)
    return (parameters.name or arm, parameters) if arm == "custom" else (arm, parameters)


def parameters(message: Message) -> dict[str, str]:
    """Parameters that a message sets, as text."""
    _, held = chosen(message)
    if held is None:
        return {}
    texts = {field.name: _text(field, value) for field, value in held.ListFields()}
    return {name: text for name, text in texts.items() if text}


def caption(message: Message) -> str:
    """A choice in words, such as `deletion (grid 7, steps 14)`; empty if it is unset."""
    return _with(chosen(message)[0], parameters(message))


def _with(name: str, held: Mapping[str, str]) -> str:
    text = ", ".join(f"{key} {value}" for key, value in held.items())
    return f"{name} ({text})" if text else name


def _text(field: FieldDescriptor, value: Any) -> str:  # noqa: ANN401  # whatever a field holds
    if field.is_repeated:
        return "[" + ", ".join(map(_number, value)) + "]"
    if field.enum_type is not None:
        return short_name(field.enum_type, value)
    if isinstance(value, Message):
        return caption(value) if value.DESCRIPTOR.oneofs else _fields(value)
    if isinstance(value, bytes):
        return f"of {len(value)} bytes"
    return _number(value)


def _fields(message: Message) -> str:
    """What a message holds, such as `classes 5, values of 100 bytes`."""
    return ", ".join(f"{field.name} {_text(field, held)}" for field, held in message.ListFields())


def _number(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, slots=True)
class Captions:
    """Names choices by as few parameters as tell them apart.

    Attributes:
        models: names of models by their resource names.
        telling: parameters that differ, by the name of the choice; what is always told is not among
            them.
    """

    models: Mapping[str, str]
    telling: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, models: Iterable[Model], results: Iterable[MetricResult | ModelComparison]) -> Self:
        """Prepares captions for the results of one report."""
        variants: dict[str, list[dict[str, str]]] = {}
        for result in results:
            for message in (result.metric, result.removal, result.explainer):
                variants.setdefault(chosen(message)[0], []).append(parameters(message))
        telling = {name: _differing(held) for name, held in variants.items()}
        return cls(_model_names(tuple(models)), telling)

    def model(self, name: str) -> str:
        """Display name of a model, with its digest where two have the same."""
        return self.models.get(name, short_digest(name))

    def spoken(self, text: str) -> str:
        """A sentence of the server's with the models by their short names."""
        return _MODEL.sub(lambda found: self.models.get(found[0], found[0]), text)

    def panel(self, names: Iterable[str]) -> str:
        """The models that a result is of."""
        return ", ".join(map(self.model, names))

    def short(self, message: Message) -> str:
        """A choice with the parameters that tell it from its namesakes."""
        name, _ = chosen(message)
        telling = self.telling.get(name, frozenset())
        told = {
            key: text
            for key, text in parameters(message).items()
            if key in telling or _ALWAYS_TOLD.get(key) == text
        }
        return _with(name, told)

    def row(self, result: MetricResult) -> dict[str, str]:
        """Columns that say what a result is about."""
        return {"model": self.panel(result.models), **self.setting(result)}

    def setting(self, result: MetricResult | ModelComparison) -> dict[str, str]:
        """Columns that say how something was scored."""
        return {
            "metric": self.short(result.metric),
            "removal": self.short(result.removal),
            "explainer": self.short(result.explainer),
        }


def short_digest(name: str) -> str:
    """First digits of the digest in a resource name."""
    return name.rpartition("/")[2].removeprefix("sha256-")[:DIGEST_DIGITS]


def _differing(variants: list[dict[str, str]]) -> frozenset[str]:
    keys = {key for variant in variants for key in variant}
    return frozenset(key for key in keys if len({variant.get(key) for variant in variants}) > 1)


def _model_names(models: tuple[Model, ...]) -> dict[str, str]:
    shown = [model.display_name for model in models]
    return {
        model.name: model.display_name
        if model.display_name and shown.count(model.display_name) == 1
        else f"{model.display_name} {short_digest(model.name)}".strip()
        for model in models
    }
