"""Requests of every method, sent as raw bytes to a real server on a real socket.

The first byte chooses the method, the others are its request, or a message of its stream.
"""

import atexit
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import numpy as np
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from heatproof.v1 import (
    baseline_service_pb2,
    baseline_service_pb2_grpc,
    catalog_service_pb2,
    dataset_service_pb2,
    dataset_service_pb2_grpc,
    evaluation_pb2,
    evaluation_service_pb2,
    evaluation_service_pb2_grpc,
    explanation_service_pb2,
    gate_pb2,
    image_pb2,
    masking_service_pb2,
    model_service_pb2,
    model_service_pb2_grpc,
)
from tests.system import payloads
from tests.system.fuzz.mutation import mutated
from tests.system.serving import serving, settings_for

_FILES: Sequence[Any] = (
    catalog_service_pb2,
    dataset_service_pb2,
    evaluation_service_pb2,
    explanation_service_pb2,
    masking_service_pb2,
    model_service_pb2,
    baseline_service_pb2,
)
METHODS: Sequence[MethodDescriptor] = [
    method
    for file in _FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
_FAULTS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}
_LEAKS = re.compile(r"0x[0-9a-f]{6,}|Traceback|\\.py\\b|object at|/tmp/")
_SECONDS = 20
_BASELINE = "baselines/main"


class Answer(NamedTuple):
    """What came of a call."""

    code: grpc.StatusCode
    details: str


def run(data: bytes) -> None:
    """Sends a request; a fault of ours, or words of Python or the server's disk, is an error."""
    if not data:
        return
    answer = _called(METHODS[data[0] % len(METHODS)], data[1:])
    if answer.code in _FAULTS or _LEAKS.search(answer.details):
        raise AssertionError(answer)


def seeds() -> Iterator[bytes]:
    """A sensible request to every method, and the requests that once crashed this target."""
    for number, method in enumerate(METHODS):
        yield bytes([number]) + _sensible(method).SerializeToString()
        if method.client_streaming:
            yield bytes([number]) + _stream(method)[0].SerializeToString()
    folder = Path(__file__).with_name("seeds") / "requests"
    yield from (path.read_bytes() for path in sorted(folder.glob("*")))


def changed(data: bytes, max_size: int, seed: int) -> bytes:
    """Changes the request and leaves the method."""
    if not data:
        return bytes([seed % len(METHODS)])
    kind = _kind(METHODS[data[0] % len(METHODS)])
    return data[:1] + mutated(kind, data[1:], max_size - 1, seed)


def _kind(method: MethodDescriptor) -> type[Message]:
    return message_factory.GetMessageClass(method.input_type)


def _context(method: MethodDescriptor, data: bytes) -> Sequence[bytes]:
    """The messages of an upload of which one is `data`: a header in front, any other behind it."""
    header, *rest = (message.SerializeToString() for message in _stream(method))
    is_header = data[:1] == header[:1]
    return [data, *rest] if is_header else [header, data]


@cache
def _channel() -> grpc.Channel:
    """Starts the server that everything is sent to; it ends with the process."""
    stack = ExitStack()
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    served = stack.enter_context(serving(settings_for(Path(folder))))
    atexit.register(stack.close)
    return served.channel


def _called(method: MethodDescriptor, data: bytes) -> Answer:
    path = f"/{method.containing_service.full_name}/{method.name}"
    kind = {(False, False): "unary_unary", (False, True): "unary_stream"}.get(
        (method.client_streaming, method.server_streaming), "stream_unary"
    )
    call = getattr(_channel(), kind)(path)
    request = iter(_context(method, data)) if method.client_streaming else data
    try:
        reply = call(request, timeout=_SECONDS)
        if method.server_streaming:
            list(reply)
    except grpc.RpcError as error:
        return Answer(error.code(), error.details() or "")
    return Answer(grpc.StatusCode.OK, "")


class Stored(NamedTuple):
    """Names of what the server holds."""

    model: str
    dataset: str
    evaluation: str
    of_two: str


@cache
def _stored() -> Stored:
    """Stores a model, a data set and evaluations that have ended, of one model and of two."""
    channel = _channel()
    models = model_service_pb2_grpc.ModelServiceStub(channel)
    datasets = dataset_service_pb2_grpc.DatasetServiceStub(channel)
    evaluations = evaluation_service_pb2_grpc.EvaluationServiceStub(channel)
    model, other = (
        models.UploadModel(iter(payloads.upload(payloads.model_bytes(seed)))).name
        for seed in (0, 1)
    )
    image = image_pb2.Image(encoded=payloads.png(), label=1)
    dataset = datasets.UploadDataset(iter(payloads.dataset(image))).name
    pair = _spec(model, dataset)
    pair.models.append(other)
    del pair.metrics[1:]  # whose background would be the map's
    name, of_two = (_ended(evaluations, spec) for spec in (_spec(model, dataset), pair))
    baselines = baseline_service_pb2_grpc.BaselineServiceStub(channel)
    baselines.SetBaseline(baseline_service_pb2.SetBaselineRequest(name=_BASELINE, evaluation=name))
    return Stored(model, dataset, name, of_two)


def _ended(evaluations: Any, spec: evaluation_pb2.EvaluationSpec) -> str:
    request = evaluation_service_pb2.CreateEvaluationRequest(spec=spec)
    name: str = evaluations.CreateEvaluation(request).evaluation.name
    watched = evaluation_service_pb2.WatchEvaluationRequest(name=name)
    list(evaluations.WatchEvaluation(watched))
    return name


def _spec(model: str, dataset: str = "") -> evaluation_pb2.EvaluationSpec:
    return evaluation_pb2.EvaluationSpec(
        models=[model],
        dataset=dataset,
        preprocessing={"preset": "unit"},
        metrics=[{"deletion": {"grid": 2, "steps": 2}}, {"explanation_consistency": {}}],
        explainers=[{"random": {"grid": 2}}, {"saliency": {}}],
        removals=[{"black": {}}, {"layer": {}}],
    )


_WEIGHING = 5
"""Index of explanation_consistency with saliency, after the four results of deletion."""


def _policy() -> gate_pb2.Policy:
    spec = _spec("")
    return gate_pb2.Policy(
        explainers=spec.explainers,
        removals=spec.removals,
        checks=[{"metric": spec.metrics[0], "max": 0.9, "max_regression": 0.1}],
    )


def _sensible(method: MethodDescriptor) -> Message:
    """A request that the server answers with success."""
    names = _stored()
    image = image_pb2.Image(encoded=payloads.png(), label=1)
    values: dict[str, object] = {
        "spec": _spec(names.model, "" if method.name == "Evaluate" else names.dataset),
        "policy": _policy(),
        "model": names.model,
        "preprocessing": {"preset": "unit"},
        "explainers": [{"saliency": {}}],
        "removal": {"layer": {}},
        "images": [image],
        "image": image,
        "masks": payloads.tensor(np.ones((1, 8, 8)), "uint8"),
        "frame": image_pb2.FRAME_MODEL_INPUT,
        "name": _name(method, names),
        "evaluation": names.evaluation,
    }
    if method.client_streaming:
        return _second(method)
    known = {field.name for field in method.input_type.fields}
    if method.name == "ListMetricResults":
        known -= {"explainers"}  # names, of which none is asked for
    if method.name == "ListConsistencyWeights":
        values["result"] = _WEIGHING
    return _kind(method)(**{key: value for key, value in values.items() if key in known})


def _name(method: MethodDescriptor, names: Stored) -> str:
    """Of what the method is about; what is deleted would be missed by the requests that follow."""
    if method.name.startswith("Delete"):
        return "models/gone"
    if method.name == "CompareModels":
        return names.of_two
    services = {
        "ModelService": names.model,
        "DatasetService": names.dataset,
        "BaselineService": _BASELINE,
    }
    return services.get(method.containing_service.name, names.evaluation)


def _stream(method: MethodDescriptor) -> Sequence[Message]:
    """A whole upload."""
    if method.name == "UploadModel":
        return payloads.upload(payloads.model_bytes())
    image = image_pb2.Image(encoded=payloads.png(), label=1)
    return list(payloads.dataset(image))


def _second(method: MethodDescriptor) -> Message:
    return _stream(method)[1]
