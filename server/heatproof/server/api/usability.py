"""What of the catalogue can be used with a model: its needs against what the model can do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from heatproof.evaluators.queries.passes import Capability
from heatproof.evaluators.registry.registry import Reads
from heatproof.server.api.catalog import Catalog, CatalogEntry
from heatproof.v1 import model_pb2


@dataclass(frozen=True, slots=True)
class Use:
    """Whether something can be used with a model; fields as in the message of the same name."""

    name: str
    usable: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Usability:
    """What can be used with a model; fields as in the message of the same name."""

    metrics: tuple[Use, ...]
    explainers: tuple[Use, ...]
    removals: tuple[Use, ...]


def usability(facts: model_pb2.ModelFacts, catalogue: Catalog) -> Usability:
    """Compares the needs of all that is registered with the facts of a model."""
    return Usability(
        metrics=tuple(_use(entry, facts) for entry in catalogue.metrics),
        explainers=tuple(_use(entry, facts) for entry in catalogue.explainers),
        removals=tuple(_use(entry, facts) for entry in catalogue.removals),
    )


def _use(entry: CatalogEntry, facts: model_pb2.ModelFacts) -> Use:
    lacking = _unsuited(facts) or "; ".join(filter(None, _lacking(entry, facts)))
    return Use(entry.name, not lacking, lacking or _besides(entry, facts))


def _unsuited(facts: model_pb2.ModelFacts) -> str:
    """Why a model is no image classifier; "" if it is one."""
    missing = {"image input": facts.image_input, "class output": facts.class_output}
    absent = [name for name, found in missing.items() if not found]
    if not absent:
        return facts.shortcoming
    why = facts.class_output_decision if not facts.class_output else ""
    return f"the model has no {' and no '.join(absent)}{f': {why}' if why else ''}"


def _lacking(entry: CatalogEntry, facts: model_pb2.ModelFacts) -> list[str]:
    return [_CAPABILITIES[need](facts) for need in entry.needs if need in _CAPABILITIES]


def _shortfall(name: str, support: model_pb2.Support) -> str:
    if support.supported:
        return ""
    if not support.blockers:
        return f"the model has no {name}"
    first, is_alone = support.blockers[0], len(support.blockers) == 1
    where = f"node {first.node!r}, {first.operator}: " if first.node else ""
    others = "" if is_alone else " (and others)"
    return f"needs {name}, which stops at {where}{first.reason}{others}"


def _besides(entry: CatalogEntry, facts: model_pb2.ModelFacts) -> str:
    """What else has to be given."""
    if Reads.MAPS in entry.needs:
        return "needs maps that come with the images"
    by_default = any(tensor.is_default for tensor in facts.cam_tensors)
    if any(known.name == "tensor" for known in entry.parameters) and not by_default:
        return "needs its parameter tensor: no spatial tensor lies before a global pool"
    return ""


_CAPABILITIES: Final[Mapping[str, Callable[[model_pb2.ModelFacts], str]]] = MappingProxyType(
    {
        Capability.GRADIENTS: lambda facts: _shortfall("gradients", facts.gradients),
        Capability.ACTIVATION_GRADIENTS: lambda facts: _shortfall(
            "gradients by an activation", facts.activation_gradients
        ),
        Capability.RECTIFIED_GRADIENTS: lambda facts: _shortfall(
            "gradients through rectifiers", facts.rectified_gradients
        ),
        Capability.LAYER_MASKING: lambda facts: _shortfall("layer masking", facts.layer_masking),
    }
)
