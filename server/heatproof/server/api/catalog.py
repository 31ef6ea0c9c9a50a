"""What this server can compute, read from the registries."""

from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any

from heatproof.evaluators.evaluation.requirements import capabilities_of
from heatproof.evaluators.explainers import EXPLAINERS
from heatproof.evaluators.metrics import METRICS
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.regions import REGIONS
from heatproof.evaluators.registry.parameters import ParameterFacts, parameters_of
from heatproof.evaluators.registry.registry import Registered, Registry, summary_of
from heatproof.evaluators.removal import REMOVALS


@dataclass(frozen=True, slots=True)
class ParameterInfo:
    """Describes a parameter; fields as in the message of the same name."""

    name: str
    type: str
    default_value: str
    range: str
    summary: str

    @classmethod
    def of(cls, facts: ParameterFacts) -> "ParameterInfo":
        """Renames what the science knows."""
        return cls(facts.name, facts.type, facts.default, facts.range, facts.summary)


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """Describes a registered class; fields as in the message of the same name."""

    name: str
    summary: str
    reference: str
    category: str
    direction: Direction | None
    needs: tuple[str, ...]
    parameters: tuple[ParameterInfo, ...]

    @classmethod
    def of(cls, kind: type[Registered]) -> "CatalogEntry":
        """Reads a class."""
        facts = kind.facts
        return cls(
            name=facts.name,
            summary=summary_of(kind),
            reference=facts.reference,
            category=getattr(facts, "category", ""),
            direction=getattr(facts, "direction", None),
            needs=(*facts.reads, *capabilities_of(kind)),
            parameters=tuple(map(ParameterInfo.of, parameters_of(kind))),
        )


@dataclass(frozen=True, slots=True)
class Catalog:
    """Lists what this server can compute; fields as in the message of the same name."""

    metrics: tuple[CatalogEntry, ...]
    explainers: tuple[CatalogEntry, ...]
    removals: tuple[CatalogEntry, ...]
    regions: tuple[CatalogEntry, ...]
    server_version: str


@cache
def catalogue() -> Catalog:
    """Reads the registries; plug-ins are loaded before the first call."""
    return Catalog(
        metrics=_entries(METRICS),
        explainers=_entries(EXPLAINERS),
        removals=_entries(REMOVALS),
        regions=_entries(REGIONS),
        server_version=metadata.version("heatproof"),
    )


def _entries(registry: Registry[Any]) -> tuple[CatalogEntry, ...]:
    return tuple(CatalogEntry.of(registry[name]) for name in registry)
