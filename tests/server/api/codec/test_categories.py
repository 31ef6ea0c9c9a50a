"""Each metric, explainer and operator has its message and its class under one category."""

from pathlib import PurePosixPath
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor

from heatproof.evaluators.metrics import METRICS
from heatproof.evaluators.registry.registry import Registry
from heatproof.evaluators.removal import REMOVALS
from heatproof.server.api.codec.fields.choices import CUSTOM, REGISTRIES
from heatproof.v1 import explainers_pb2, metrics_pb2, removal_operators_pb2

CHOICES = (metrics_pb2.Metric, explainers_pb2.Explainer, removal_operators_pb2.RemovalOperator)


def holds(message: Descriptor, choice: Descriptor) -> bool:
    """Whether a message chooses in its turn: files import each other in no circle, so that it
    lies beside the chooser.
    """
    return any(field.message_type == choice for field in message.fields)


ARMS = [
    (REGISTRIES[choice.DESCRIPTOR.full_name], field.name, field.message_type.file.name)
    for choice in CHOICES
    for field in choice.DESCRIPTOR.oneofs[0].fields
    if field.name != CUSTOM
    and field.message_type is not None
    and not holds(field.message_type, choice.DESCRIPTOR)
]
BESIDE_THE_CHOOSER = {"disturbed", "inverse", "qge"}


@pytest.mark.parametrize(("registry", "name", "file"), ARMS, ids=[arm[1] for arm in ARMS])
def test_message_and_class_lie_in_one_category(
    registry: Registry[Any], name: str, file: str
) -> None:
    """Metrics and explainers have a package a category, removal operators a module."""
    module = registry[name].__module__.replace("colours", "colors").split(".")
    places = module[-1:] if registry is REMOVALS else module[:-1]
    assert PurePosixPath(file).stem in places


@pytest.mark.parametrize("name", [arm[1] for arm in ARMS if arm[0] is METRICS])
def test_the_catalog_names_the_category_of_the_package(name: str) -> None:
    """A category may have packages of its own, each with its file of the contract."""
    module = METRICS[name].__module__.split(".")
    assert METRICS[name].facts.category == module[module.index("metrics") + 1]


def test_every_registered_class_is_looked_at() -> None:
    for choice in CHOICES:
        registry = REGISTRIES[choice.DESCRIPTOR.full_name]
        assert {name for own, name, _ in ARMS if own is registry} == set(
            registry
        ) - BESIDE_THE_CHOOSER
