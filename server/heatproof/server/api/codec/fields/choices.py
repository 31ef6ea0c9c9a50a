"""Messages that choose among registered classes: the arm of their oneof is the registry's key."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from heatproof.evaluators.explainers import EXPLAINERS
from heatproof.evaluators.metrics import METRICS
from heatproof.evaluators.regions import REGIONS
from heatproof.evaluators.registry.registry import Registry
from heatproof.evaluators.removal import REMOVALS
from heatproof.v1 import explainers_pb2, metrics_pb2, regions_pb2, removal_operators_pb2

CUSTOM: Final = "custom"
"""The arm for plug-ins, which have no message of their own."""

REGISTRIES: Final[Mapping[str, Registry[Any]]] = MappingProxyType(
    {
        metrics_pb2.Metric.DESCRIPTOR.full_name: METRICS,
        explainers_pb2.Explainer.DESCRIPTOR.full_name: EXPLAINERS,
        removal_operators_pb2.RemovalOperator.DESCRIPTOR.full_name: REMOVALS,
        regions_pb2.Regions.DESCRIPTOR.full_name: REGIONS,
    }
)
"""Registry by the full name of the message that chooses from it."""
