"""Weights of a trainer's images."""

from collections.abc import Mapping
from typing import Any, Final, Unpack

from heatproof.client.clients.effects import Flow, Rpc, Stream
from heatproof.client.clients.flows.datasets import DatasetSource
from heatproof.client.clients.flows.evaluations import (
    EvaluationOptions,
    ExplainerSource,
    evaluate,
)
from heatproof.client.clients.progress import OnProgress, ignore
from heatproof.client.clients.retries import patiently
from heatproof.client.documents.model_files import ModelSource
from heatproof.client.documents.policies import PreprocessingSource
from heatproof.client.documents.results import ConsistencyWeights
from heatproof.v1.evaluation_service_pb2 import ListConsistencyWeightsRequest
from heatproof.v1.evaluation_service_pb2_grpc import EvaluationServiceStub
from heatproof.v1.results_pb2 import ConsistencyWeight

WEIGHTS: Final = Rpc(EvaluationServiceStub, "ListConsistencyWeights")


def consistency_weights(
    model: ModelSource,
    images: DatasetSource,
    *,
    preprocessing: PreprocessingSource,
    explainer: ExplainerSource = "grad_cam",
    parameters: Mapping[str, Any] | None = None,
    on_progress: OnProgress = ignore,
    **options: Unpack[EvaluationOptions],
) -> Flow[ConsistencyWeights]:
    """Weighs the images of a training set by how little their explanations hold.

    The weight of an image is `v = 1 - E`, `E` being its explanation consistency under an attack on
    the background (Wu et al. 2024, arXiv 2408.04600): 1 where the class flips.

    Args:
        model: as of `evaluate`.
        images: paths, folders, arrays, Pillow images or bytes, or the name of an uploaded set.
        preprocessing: name of a preset (`imagenet`, `tf`, `unit`), path of a TOML file, or a table.
        explainer: where the maps come from.
        parameters: parameters of `explanation_consistency`, such as `{"steps": 4}`.
        on_progress: is called with how far it is.
        **options: as of `evaluate`.

    Raises:
        UsageError: an argument is wrong; nothing was sent.
        ServiceError: the server refused it.
        EvaluationFailedError: the server could not finish it.
    """
    report = yield from evaluate(
        model,
        images,
        preprocessing=preprocessing,
        metrics=[{"explanation_consistency": dict(parameters or {})}],
        explainers=[explainer],
        on_progress=on_progress,
        **options,
    )
    request = ListConsistencyWeightsRequest(name=report.evaluation.name)
    found: list[ConsistencyWeight] = yield from patiently(Stream(WEIGHTS, request))
    return ConsistencyWeights(report, tuple(found))
