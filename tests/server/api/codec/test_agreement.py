"""Messages, dataclasses and registries cannot drift apart."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from heatproof.evaluators.comparison import values
from heatproof.evaluators.evaluation import results, spec
from heatproof.evaluators.gate import policy
from heatproof.evaluators.images import sources
from heatproof.evaluators.images.preprocessing import Preprocessing
from heatproof.evaluators.outcomes import Curve, Undefined
from heatproof.evaluators.queries import class_outputs, model_warnings
from heatproof.graphs.inspection import inspecting
from heatproof.graphs.masking.options import MaskingOptions
from heatproof.server.api import catalog, usability
from heatproof.server.api.codec.fields.choices import CUSTOM, REGISTRIES
from heatproof.server.api.codec.fields.decoding import decode
from heatproof.server.api.codec.fields.enums import prefix_of
from heatproof.server.api.codec.fields.hints import hints_of
from heatproof.server.datasets.dataset_store import StoredDataset
from heatproof.server.models import downloads, transfers, uploads
from heatproof.v1 import (
    catalog_service_pb2,
    class_output_pb2,
    comparison_pb2,
    dataset_pb2,
    evaluation_pb2,
    explainers_pb2,
    gate_pb2,
    image_pb2,
    metrics_pb2,
    model_pb2,
    model_service_pb2,
    preprocessing_pb2,
    regions_pb2,
    removal_operators_pb2,
    results_pb2,
    transfer_pb2,
)

PROTOS = Path(__file__).parents[4] / "protos"
CHOOSERS = [
    metrics_pb2.Metric,
    explainers_pb2.Explainer,
    removal_operators_pb2.RemovalOperator,
    regions_pb2.Regions,
]
SPECIAL = {"Score", "Target", "Tensor", "Timestamp"} | {
    message.DESCRIPTOR.name for message in CHOOSERS
}
"""Messages with a way of their own; tested by their round trips."""

PAIRS: list[tuple[Any, type]] = [
    (evaluation_pb2.EvaluationSpec, spec.EvaluationSpec),
    (class_output_pb2.ClassOutput, class_outputs.ClassOutput),
    (results_pb2.ModelWarning, model_warnings.ModelWarning),
    (gate_pb2.Policy, policy.Policy),
    (gate_pb2.Verdict, policy.Verdict),
    (comparison_pb2.ModelComparison, values.ModelComparison),
    (results_pb2.MetricResult, results.MetricResult),
    (results_pb2.ImageResult, results.ImageResult),
    (results_pb2.AveragePrecision, results.AveragePrecision),
    (results_pb2.Undefined, Undefined),
    (model_pb2.ModelFacts, inspecting.ModelFacts),
    (model_pb2.Usability, usability.Usability),
    (model_service_pb2.LayerMasking, MaskingOptions),
    (model_service_pb2.UploadModelHeader, uploads.UploadModelHeader),
    (model_service_pb2.DownloadModelHeader, downloads.DownloadModelHeader),
    (transfer_pb2.Chunk, transfers.Chunk),
    (image_pb2.Box, sources.FramedBox),
    (dataset_pb2.Dataset, StoredDataset),
    (catalog_service_pb2.Catalog, catalog.Catalog),
]
READ_FIRST: Mapping[type, set[str]] = {
    results.ImageResult: {"continuation"},
    results.MetricResult: {"index"},
    Curve: {"label", "role", "unit", "x_unit"},
    Preprocessing: {"preset"},
    spec.EvaluationSpec: {"class_names"},
    policy.PolicyModel: {"class_names"},
}
"""Fields that are read before a message becomes a dataclass, or written after."""
SCALARS: Mapping[int, type] = {
    FieldDescriptor.CPPTYPE_INT32: int,
    FieldDescriptor.CPPTYPE_INT64: int,
    FieldDescriptor.CPPTYPE_DOUBLE: float,
    FieldDescriptor.CPPTYPE_FLOAT: float,
    FieldDescriptor.CPPTYPE_BOOL: bool,
}


def assert_agree(message: Descriptor, kind: type) -> None:
    """Compares names and types of all fields, and goes into those that are messages."""
    declared = {field.name: field for field in message.fields}
    extra = READ_FIRST.get(kind, set())
    assert {hint.name for hint in hints_of(kind)} == set(declared) - extra, message.full_name
    for hint in hints_of(kind):
        assert_element(declared[hint.name], hint.element)


def assert_element(field: FieldDescriptor, element: Any) -> None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        assert_element(field.message_type.fields_by_name["value"], element)
    elif field.message_type is not None:
        if field.message_type.name not in SPECIAL:
            assert_agree(field.message_type, element)
    elif field.enum_type is not None:
        assert_members(field.enum_type, element)
    elif field.type == FieldDescriptor.TYPE_BYTES:
        assert element is bytes
    else:
        expected = SCALARS.get(field.cpp_type, str)
        assert issubclass(element, expected), field.full_name


def assert_members(enum: EnumDescriptor, kind: type[StrEnum]) -> None:
    prefix = prefix_of(enum)
    assert enum.values[0].name == f"{prefix}UNSPECIFIED"
    assert {value.name for value in enum.values[1:]} == {prefix + m.upper() for m in kind}


@pytest.mark.parametrize(("message", "kind"), PAIRS, ids=lambda item: getattr(item, "__name__", ""))
def test_message_and_dataclass_have_the_same_fields(message: Any, kind: type) -> None:
    assert_agree(message.DESCRIPTOR, kind)


@pytest.mark.parametrize("message", CHOOSERS)
def test_the_arms_of_a_choice_are_the_names_of_its_registry(message: Any) -> None:
    registry = REGISTRIES[message.DESCRIPTOR.full_name]
    (oneof,) = message.DESCRIPTOR.oneofs
    assert {field.name for field in oneof.fields} - {CUSTOM} == set(registry)
    assert len(oneof.fields) == len(message.DESCRIPTOR.fields)
    for field in oneof.fields:
        if field.name != CUSTOM:
            assert_agree(field.message_type, registry[field.name])
            camel = "".join(word.capitalize() for word in field.name.split("_"))
            assert field.message_type.name == registry[field.name].__name__ == camel


@pytest.mark.parametrize("message", CHOOSERS)
def test_an_empty_arm_gives_every_default(message: Any) -> None:
    registry = REGISTRIES[message.DESCRIPTOR.full_name]
    for name in registry:
        chosen = message()
        getattr(chosen, name).SetInParent()
        assert decode(chosen, object) == registry[name]()


def documented() -> Iterator[tuple[str, str, Any]]:
    """Comment and dataclass field of every parameter, by its full name."""
    for message in CHOOSERS:
        registry = REGISTRIES[message.DESCRIPTOR.full_name]
        for name in registry:
            arm = message.DESCRIPTOR.fields_by_name[name].message_type
            body = body_of(arm)
            for parameter in fields(registry[name]):
                found = re.search(
                    rf"((?:^ +//[^\n]*\n)+) +(?:optional |repeated )?[\w.]+ {parameter.name} =",
                    body,
                    re.MULTILINE,
                )
                comment = re.sub(r"\s*//\s*", " ", found[1]) if found else ""
                yield f"{name}.{parameter.name}", comment, parameter


def body_of(message: Descriptor) -> str:
    """What stands between the braces of a message, comments included."""
    text = (PROTOS / message.file.name).read_text()
    found = re.search(
        rf"^message {message.name} {{(.*?)(?:^}}|(?<={{)}}$)", text, re.MULTILINE | re.DOTALL
    )
    assert found, message.full_name
    return found[1]


@pytest.mark.parametrize(("name", "comment", "parameter"), list(documented()))
def test_the_contract_states_range_and_default_of_every_parameter(
    name: str, comment: str, parameter: Any
) -> None:
    within, default = parameter.metadata.get("within"), parameter.default
    assert comment, name
    assert default is not MISSING
    if within is not None and name != "occlusion.stride":  # its upper end is the patch
        assert f"in {within}" in comment
    if isinstance(default, bool):
        assert f"absent: {str(default).lower()}" in comment
    elif isinstance(default, tuple):
        assert f"none: {', '.join(map(str, default))}" in comment
    elif isinstance(default, int | float) and name != "explanation_consistency.epsilon":
        may_be_zero = within is not None and 0 in within
        assert f"{'absent' if may_be_zero else '0'}: {default:g}" in comment


def test_preprocessing_has_the_fields_of_its_message() -> None:
    assert_agree(preprocessing_pb2.Preprocessing.DESCRIPTOR, Preprocessing)
