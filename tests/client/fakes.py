# ruff: noqa: N802  # the contract names the methods
"""A server of canned replies: the whole contract, and none of the science."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from heatproof.v1 import (
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    dataset_service_pb2_grpc,
    evaluation_service_pb2,
    evaluation_service_pb2_grpc,
    explanation_service_pb2,
    explanation_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
)
from heatproof.v1.comparison_pb2 import ModelComparison
from heatproof.v1.dataset_pb2 import Dataset
from heatproof.v1.evaluation_pb2 import Evaluation
from heatproof.v1.gate_pb2 import Verdict
from heatproof.v1.image_pb2 import Image
from heatproof.v1.model_pb2 import Model
from heatproof.v1.tensor_pb2 import DATA_TYPE_FLOAT32, Tensor
from heatproof.v1.transfer_pb2 import Chunk, FileInfo
from tests.client import canned


@dataclass
class Script:
    """What the fake server does, and what it was asked.

    Attributes:
        verdict: outcome of every gate.
        state: final state of every evaluation.
        error: error of evaluations that fail.
        failures: statuses to fail with, by method, one a call, before calls succeed.
        calls: requests, by method.
        models: models that are stored.
        uploaded: bytes by location.
        images: images of the last data set.
        download: what every download sends.
        comparisons: what every comparison sends.
        hangs: whether evaluations run until they are cancelled.
    """

    verdict: Verdict.Outcome.ValueType = Verdict.OUTCOME_PASS
    state: Evaluation.State.ValueType = Evaluation.STATE_SUCCEEDED
    error: status_pb2.Status | None = None
    failures: dict[str, list[status_pb2.Status]] = field(default_factory=dict)
    calls: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    models: dict[str, Model] = field(default_factory=dict)
    uploaded: dict[str, bytes] = field(default_factory=dict)
    images: list[Image] = field(default_factory=list)
    comparisons: list[ModelComparison] = field(default_factory=list)
    hangs: bool = False
    reads: list[str] = field(default_factory=list)
    seconds: list[float | None] = field(default_factory=list)
    download: list[model_service_pb2.DownloadModelResponse] = field(default_factory=list)

    def called(self, method: str, request: object, context: grpc.ServicerContext) -> None:
        """Notes a call and fails it if the script says so."""
        self.calls[method].append(request)
        planned = self.failures.get(method)
        if planned:
            context.abort_with_status(rpc_status.to_status(planned.pop(0)))


def status(code: str, message: str, *details: Message) -> status_pb2.Status:
    """A status with details, such as `status("NOT_FOUND", "no such model")`."""
    packed = []
    for detail in details:
        packed.append(AnyMessage())
        packed[-1].Pack(detail)
    return status_pb2.Status(code=code_pb2.Code.Value(code), message=message, details=packed)


def error_info(reason: str, **metadata: str) -> error_details_pb2.ErrorInfo:
    return error_details_pb2.ErrorInfo(reason=reason, domain="heatproof", metadata=metadata)


class Models(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, script: Script) -> None:
        self._script = script

    def UploadModel(self, request_iterator: Any, context: Any) -> Any:
        header = next(request_iterator).header
        bodies = [b"" for _ in header.files]
        for request in request_iterator:
            assert request.chunk.offset == len(bodies[request.chunk.file])
            bodies[request.chunk.file] += request.chunk.data
        self._script.called("UploadModel", header, context)
        for info, body in zip(header.files, bodies, strict=True):
            self._script.uploaded[info.location] = body
        expected = self._script.calls["GetModel"][-1].name
        model = Model(name=expected, display_name=header.display_name, files=header.files)
        self._script.models[expected] = model
        return model

    def GetModel(self, request: Any, context: Any) -> Any:
        self._script.called("GetModel", request, context)
        if request.name not in self._script.models:
            missing = status("NOT_FOUND", f"no {request.name}", error_info("NOT_FOUND"))
            context.abort_with_status(rpc_status.to_status(missing))
        return self._script.models[request.name]

    def ListModels(self, request: Any, context: Any) -> Any:
        """Pages of one model."""
        self._script.called("ListModels", request, context)
        models = list(self._script.models.values())
        at = int(request.page_token or 0)
        token = str(at + 1) if at + 1 < len(models) else ""
        return model_service_pb2.ListModelsResponse(
            models=models[at : at + 1], next_page_token=token
        )

    def DeleteModel(self, request: Any, context: Any) -> Any:
        self._script.called("DeleteModel", request, context)
        return Empty()

    def DownloadModel(self, request: Any, context: Any) -> Any:
        self._script.called("DownloadModel", request, context)
        yield from self._script.download


def download(**files: bytes) -> list[model_service_pb2.DownloadModelResponse]:
    """A download of files by location, in chunks of two bytes."""
    infos = [FileInfo(location=name, size_bytes=len(body)) for name, body in files.items()]
    header = model_service_pb2.DownloadModelHeader(files=infos)
    replies = [model_service_pb2.DownloadModelResponse(header=header)]
    for index, body in enumerate(files.values()):
        for at in range(0, len(body), 2):
            chunk = Chunk(file=index, offset=at, data=body[at : at + 2])
            replies.append(model_service_pb2.DownloadModelResponse(chunk=chunk))
    return replies


class Datasets(dataset_service_pb2_grpc.DatasetServiceServicer):
    def __init__(self, script: Script) -> None:
        self._script = script

    def UploadDataset(self, request_iterator: Any, context: Any) -> Any:
        header = next(request_iterator).header
        self._script.images = [request.image for request in request_iterator]
        self._script.called("UploadDataset", header, context)
        return self._dataset(header.display_name)

    def GetDataset(self, request: Any, context: Any) -> Any:
        self._script.called("GetDataset", request, context)
        return self._dataset("stored")

    def _dataset(self, display_name: str) -> Dataset:
        images = self._script.images
        labelled = sum(image.HasField("label") for image in images)
        return Dataset(
            name="datasets/sha256-" + "d" * 64,
            display_name=display_name,
            images=len(images),
            labelled=labelled,
        )


class Evaluations(evaluation_service_pb2_grpc.EvaluationServiceServicer):
    def __init__(self, script: Script) -> None:
        self._script = script
        self._evaluation = Evaluation()

    def CreateEvaluation(self, request: Any, context: Any) -> Any:
        self._script.called("CreateEvaluation", request, context)
        if request.validate_only:
            return self._planned(request.spec)
        self._evaluation = Evaluation(
            name="evaluations/e1", spec=request.spec, state=Evaluation.STATE_QUEUED
        )
        self._evaluation.create_time.FromSeconds(1_700_000_000)
        return evaluation_service_pb2.CreateEvaluationResponse(
            evaluation=self._evaluation, reads=self._script.reads
        )

    def _planned(self, spec: Any) -> Any:
        planned = canned.results(spec, len(self._script.images))
        for result in planned:
            result.ClearField("summary")
        evaluation = Evaluation(spec=spec, results=planned)
        evaluation.progress.images_total = len(self._script.images)
        evaluation.sampling.units = len(self._script.images)
        reply = evaluation_service_pb2.CreateEvaluationResponse(
            evaluation=evaluation, predictions=1234, reads=["label"]
        )
        seconds = self._script.seconds.pop(0) if self._script.seconds else 7.5
        if seconds is not None:
            reply.estimated_duration.FromMilliseconds(round(1000 * seconds))
        return reply

    def GetEvaluation(self, request: Any, context: Any) -> Any:
        self._script.called("GetEvaluation", request, context)
        if request.name != self._evaluation.name:
            missing = status("NOT_FOUND", f"no {request.name}", error_info("NOT_FOUND"))
            context.abort_with_status(rpc_status.to_status(missing))
        return self._evaluation

    def ListEvaluations(self, request: Any, context: Any) -> Any:
        self._script.called("ListEvaluations", request, context)
        held = [self._evaluation] if self._evaluation.name else []
        return evaluation_service_pb2.ListEvaluationsResponse(evaluations=held)

    def DeleteEvaluation(self, request: Any, context: Any) -> Any:
        self._script.called("DeleteEvaluation", request, context)
        self._evaluation = Evaluation()
        return Empty()

    def WatchEvaluation(self, request: Any, context: Any) -> Iterator[Evaluation]:
        self._script.called("WatchEvaluation", request, context)
        yield Evaluation(name=request.name, state=Evaluation.STATE_QUEUED)
        running = Evaluation(name=request.name, state=Evaluation.STATE_RUNNING)
        running.progress.predictions_done = 5
        running.progress.predictions_total = 10
        yield running
        if self._script.hangs:
            # Ends by the client's going away.
            gone = threading.Event()
            context.add_callback(gone.set)
            gone.wait(60)
            return
        ended = self._evaluation
        ended.state = self._script.state
        if self._script.error is not None:
            ended.error.CopyFrom(self._script.error)
        ended.end_time.FromSeconds(1_700_000_012)
        yield ended

    def CancelEvaluation(self, request: Any, context: Any) -> Any:
        self._script.called("CancelEvaluation", request, context)
        self._evaluation.state = Evaluation.STATE_CANCELLED
        return self._evaluation

    def ListMetricResults(self, request: Any, context: Any) -> Any:
        self._script.called("ListMetricResults", request, context)
        yield from canned.results(self._evaluation.spec, len(self._script.images))

    def ListImageResults(self, request: Any, context: Any) -> Any:
        self._script.called("ListImageResults", request, context)
        yield from canned.image_results(self._evaluation.spec, self._script.images)

    def CompareModels(self, request: Any, context: Any) -> Any:
        self._script.called("CompareModels", request, context)
        yield from self._script.comparisons

    def GateEvaluation(self, request: Any, context: Any) -> Any:
        self._script.called("GateEvaluation", request, context)
        return canned.verdict(request.policy, self._evaluation, self._script.verdict)


class Explanations(explanation_service_pb2_grpc.ExplanationServiceServicer):
    def __init__(self, script: Script) -> None:
        self._script = script

    def Explain(self, request: Any, context: Any) -> Any:
        self._script.called("Explain", request, context)
        for index in range(len(request.images)):
            for explainer in request.explainers:
                values = np.full((2, 2), index, "<f4")
                tensor = Tensor(
                    data_type=DATA_TYPE_FLOAT32, shape=values.shape, data=values.tobytes()
                )
                yield explanation_service_pb2.Explanation(
                    image=index,
                    explainer=explainer,
                    values=tensor,
                    overlay_png=canned.png() if request.overlay else b"",
                )


class Catalogue(catalog_service_pb2_grpc.CatalogServiceServicer):
    def __init__(self, script: Script) -> None:
        self._script = script

    def GetCatalog(self, request: Any, context: Any) -> Any:
        self._script.called("GetCatalog", request, context)
        entry = catalog_service_pb2.CatalogEntry(name="deletion", summary="Takes an area.")
        return catalog_service_pb2.Catalog(metrics=[entry], server_version="0")


# The client calls no other methods than those that are there.
SERVICES: Any = (
    (model_service_pb2_grpc.add_ModelServiceServicer_to_server, Models),
    (dataset_service_pb2_grpc.add_DatasetServiceServicer_to_server, Datasets),
    (evaluation_service_pb2_grpc.add_EvaluationServiceServicer_to_server, Evaluations),
    (explanation_service_pb2_grpc.add_ExplanationServiceServicer_to_server, Explanations),
    (catalog_service_pb2_grpc.add_CatalogServiceServicer_to_server, Catalogue),
)


def add_services(server: grpc.Server, script: Script) -> None:
    for add, servicer in SERVICES:
        add(servicer(script), server)
