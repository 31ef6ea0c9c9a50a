"""Every field of every request, found by reflection, with the worst that its type can hold."""

import math
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

from heatproof.v1 import (
    catalog_service_pb2,
    dataset_service_pb2,
    evaluation_service_pb2,
    evaluation_service_pb2_grpc,
    explanation_service_pb2,
    gate_pb2,
    image_pb2,
    masking_service_pb2,
    model_pb2,
    model_service_pb2,
)
from tests.system.payloads import chunk, dataset, file_info, header, model_bytes, png, tensor
from tests.system.refusals import refusal_of
from tests.system.serving import Served

FILES: Any = (
    catalog_service_pb2,
    dataset_service_pb2,
    evaluation_service_pb2,
    explanation_service_pb2,
    masking_service_pb2,
    model_service_pb2,
)
METHODS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
NOBODY = {"models": f"models/sha256-{64 * '0'}", "datasets": f"datasets/sha256-{64 * '0'}"}
NOBODYS_EVALUATION = "evaluations/" + 20 * "0"

LEAKS = re.compile(
    r"0x[0-9a-f]{6,}|Traceback|blobs/|incoming/|site-packages|<class|sqlite|/work/|/tmp/|/usr/"
    r"|object at|NoneType|not subscriptable|unsupported operand|\w+Error\b"
)
FieldPath = tuple[FieldDescriptor, ...]

TEXTS = ["", "\0\a\n\x7f", "x" * 5000, "../../etc/passwd", "\u202e\U0001f600 %s {0}", "é" * 20_000]
INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: [-1, 0, -(2**31), 2**31 - 1],
    FieldDescriptor.CPPTYPE_INT64: [-1, 0, -(2**63), 2**63 - 1],
    FieldDescriptor.CPPTYPE_UINT32: [0, 2**32 - 1],
    FieldDescriptor.CPPTYPE_UINT64: [0, 2**64 - 1],
}
REALS = [math.nan, math.inf, -math.inf, -1.0, 0.0, 3e38, 1e-40]
RAW = [b"", b"\xff" * 9, b"\x89PNG\r\n\x1a\n" + b"\0" * 20]


_TRIED = 3
"""Values of each place, others at others: the same field stands in many requests."""


def worst(field: FieldDescriptor) -> list[Any]:
    """Values of a field's type that no sound client sends."""
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return TEXTS if field.type == FieldDescriptor.TYPE_STRING else RAW
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return [0, -1, 99]
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return [True]
    return INTEGERS.get(field.cpp_type, REALS)


CHOICES = {f"heatproof.v1.{name}" for name in ("Metric", "Explainer", "RemovalOperator", "Regions")}
"""Messages of hundreds of fields, which hold one another."""


def paths(
    descriptor: Descriptor, before: FieldPath = (), walked: set[str] | None = None
) -> Iterator[FieldPath]:
    """Paths to every field that a request may hold, each message type once on a path.

    What a choice holds is walked where it first stands in the request: elsewhere it is read alike.
    """
    walked = set() if walked is None else walked
    for field in descriptor.fields:
        inner = field.message_type
        yield (*before, field)
        known = {
            descriptor.full_name,
            *(step.message_type.full_name for step in before if step.message_type),
        }
        is_map = inner is not None and inner.GetOptions().map_entry
        if inner is None or is_map or inner.full_name in known | (walked & CHOICES):
            continue
        walked.add(inner.full_name)
        yield from paths(inner, (*before, field), walked)


def holder(message: Any, path: FieldPath) -> Any:
    """The message that holds the last field of a path, made where there is none."""
    for step in path[:-1]:
        inner = getattr(message, step.name)
        message = (inner[0] if len(inner) else inner.add()) if step.is_repeated else inner
        if not step.is_repeated:
            message.SetInParent()
    return message


def spoilt(message: Message, path: FieldPath) -> Iterator[Message]:
    """The message with a field wrong in one way after the other."""
    field = path[-1]
    is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
    values = [None] if field.message_type is not None else worst(field)
    turn = zlib.crc32(".".join(step.full_name for step in path).encode())
    for value in [values[(turn + step) % len(values)] for step in range(min(_TRIED, len(values)))]:
        copy = type(message)()
        copy.CopyFrom(message)
        place = holder(copy, path)
        if is_map:
            place.ClearField(field.name)
        elif value is None and field.is_repeated:
            getattr(place, field.name).add()
        elif value is None:
            place.ClearField(field.name)
            getattr(place, field.name).SetInParent()
        elif field.is_repeated:
            getattr(place, field.name).append(value)
        else:
            setattr(place, field.name, value)
        yield copy


@dataclass(frozen=True)
class Stock:
    """Names of what is stored: a model, a data set, and evaluations that have ended."""

    model: str
    dataset: str
    evaluation: str
    of_two: str
    baseline: gate_pb2.Baseline


@pytest.fixture(scope="module")
def stock(served: Served, model: model_pb2.Model) -> Stock:
    images = [image_pb2.Image(encoded=png(seed=seed), label=1) for seed in (70, 71)]
    stored = served.datasets.UploadDataset(dataset(*images))
    other = served.models.UploadModel(
        iter([header(file_info(data := model_bytes(72))), chunk(data)])
    )
    stub: Any = evaluation_service_pb2_grpc.EvaluationServiceStub(served.channel)
    ended, of_two = (
        finished(stub, asked_of(stored.name, *names))
        for names in ((model.name,), (model.name, other.name))
    )
    asked = evaluation_service_pb2.ListImageResultsRequest(name=ended.name)
    results = list(stub.ListImageResults(asked))
    baseline = gate_pb2.Baseline(model=model.name, evaluation=ended, image_results=results)
    return Stock(model.name, stored.name, ended.name, of_two.name, baseline)


def finished(stub: Any, spec: dict[str, Any]) -> Any:
    made = stub.CreateEvaluation(evaluation_service_pb2.CreateEvaluationRequest(spec=spec))
    watched = evaluation_service_pb2.WatchEvaluationRequest(name=made.evaluation.name)
    *_, ended = stub.WatchEvaluation(watched)
    return ended


def asked_of(dataset_name: str, *model_names: str) -> dict[str, Any]:
    return {
        "models": model_names,
        "dataset": dataset_name,
        "preprocessing": {"preset": "unit"},
        "metrics": [{"deletion": {"grid": 2, "steps": 2}}],
        "explainers": [{"centre": {}}, {"random": {"grid": 2}}, {"saliency": {}}],
        "removals": [{"black": {}}],
    }


def sound(stored: Stock) -> dict[str, list[Any]]:
    """A sound request of methods that store, compute or judge; others get empty ones."""
    image = image_pb2.Image(encoded=png(), label=1)
    unit = {"preset": "unit"}
    asked = asked_of(stored.dataset, stored.model)
    inline = {**asked, "dataset": ""}
    data = model_bytes(71)
    policy = gate_pb2.Policy(checks=[{"metric": asked["metrics"][0], "max": 0.5}])
    return {
        "UploadModel": [header(file_info(data)), chunk(data)],
        "UploadDataset": list(dataset(image)),
        "Evaluate": [evaluation_service_pb2.EvaluateRequest(spec=inline, images=[image])],
        "CreateEvaluation": [
            evaluation_service_pb2.CreateEvaluationRequest(
                spec=asked, policy=policy, validate_only=True
            )
        ],
        "GateEvaluation": [
            evaluation_service_pb2.GateEvaluationRequest(
                name=stored.evaluation,
                model=stored.model,
                policy=policy,
                recorded_baseline=stored.baseline,
            )
        ],
        "CompareModels": [
            evaluation_service_pb2.CompareModelsRequest(
                name=stored.of_two, reference_model=stored.model, abs_tolerance=0
            )
        ],
        "AssessMetrics": [evaluation_service_pb2.AssessMetricsRequest(name=stored.evaluation)],
        "Explain": [
            explanation_service_pb2.ExplainRequest(
                model=stored.model, preprocessing=unit, images=[image], explainers=[{"centre": {}}]
            )
        ],
        "Predict": [
            masking_service_pb2.PredictRequest(
                model=stored.model,
                preprocessing=unit,
                image=image,
                frame=2,
                masks=tensor([[[1] * 8] * 8], "uint8"),
                removal={"black": {}},
            )
        ],
        "DownloadModel": [model_service_pb2.DownloadModelRequest(name=stored.model)],
        "GetModel": [model_service_pb2.GetModelRequest(name=stored.model)],
        "DeleteModel": [model_service_pb2.DeleteModelRequest(name=NOBODY["models"])],
        "DeleteDataset": [dataset_service_pb2.DeleteDatasetRequest(name=NOBODY["datasets"])],
    }


def sendings(name: str, stored: Stock) -> Iterator[tuple[str, list[bytes]]]:
    """Every way in which a request of a method is wrong in one field, with its place."""
    method = METHODS[name]
    kind: Any = method.input_type._concrete_class
    messages = sound(stored).get(method.name, [kind()])
    for index, message in enumerate(messages):
        before = [one.SerializeToString() for one in messages[:index]]
        after = [one.SerializeToString() for one in messages[index + 1 :]]
        for path in paths(message.DESCRIPTOR):
            place = ".".join(step.name for step in path)
            for bad in spoilt(message, path):
                yield place, [*before, bad.SerializeToString(), *after]


def wire_faults(name: str, stored: Stock) -> Iterator[tuple[str, list[bytes]]]:
    """Fields of another wire type, texts that are no UTF-8, and bytes that are no fields."""
    method = METHODS[name]
    kind: Any = method.input_type._concrete_class
    first, *rest = (one.SerializeToString() for one in sound(stored).get(method.name, [kind()]))
    for field in method.input_type.fields:
        number = field.number << 3
        for wire in (b"\0\x05", b"\x01" + 8 * b"\xff", b"\x02\x02\xff\xfe", b"\x05" + 4 * b"\xff"):
            faulty = bytes([number | wire[0]]) + wire[1:]
            yield f"{field.name} of wire type {wire[0]}", [first + faulty, *rest]
    for raw in (b"\x07", b"\x0b\x0c", b"\xff" * 20, b"\x0a\x7f", b"\0\0"):
        yield repr(raw), [raw, *rest]
    yield "no message", []
    yield "an empty message", [b""]
    yield "three of each", [data for data in (first, *rest) for _ in range(3)]
    yield "backwards", [*rest[::-1], first]
    yield "the first alone", [first]


def complaint(served: Served, name: str, sent: list[bytes], *, is_decoded: bool) -> str:
    """What is wrong with how a call is answered; empty if nothing is."""
    call = served.channel.stream_stream(name)
    try:
        list(call(iter(sent), timeout=60))
    except grpc.RpcError as error:
        found = refusal_of(error)
        if found.code.name in {"INTERNAL", "UNKNOWN", "UNIMPLEMENTED", "DEADLINE_EXCEEDED"}:
            return f"{found.code.name} {found.message}"
        if not found.reason or found.domain != "heatproof":
            return f"no reason: {found}"
        if is_decoded and found.code is grpc.StatusCode.INVALID_ARGUMENT and not found.field:
            return f"names no field: {found.message}"
        trailers = [str(value) for _, value in error.trailing_metadata() or ()]  # type: ignore[attr-defined]  # a call's error
        leak = LEAKS.search(" ".join([found.message, *trailers]))
        if leak is not None:
            return f"tells {leak[0]!r}: {found.message}"
    return ""


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("faults", [sendings, wire_faults])
def test_whatever_a_field_holds_the_answer_is_one_of_the_contract(
    served: Served, stock: Stock, name: str, faults: Any
) -> None:
    complaints = [
        f"{place}: {said}"
        for place, sent in faults(name, stock)
        if (said := complaint(served, name, sent, is_decoded=faults is sendings))
    ]
    assert complaints == []
    health = health_pb2_grpc.HealthStub(served.channel)
    assert health.Check(health_pb2.HealthCheckRequest(), timeout=5).status == 1
