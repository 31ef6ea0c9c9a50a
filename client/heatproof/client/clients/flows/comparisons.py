"""Comparisons of the models of an evaluation."""

from typing import Final, TypeAlias

from heatproof.client.clients.effects import Flow, Rpc, Stream, limit
from heatproof.client.clients.retries import patiently
from heatproof.client.documents.captions import Captions
from heatproof.client.documents.results import ModelComparisons, Report
from heatproof.v1.comparison_pb2 import ModelComparison
from heatproof.v1.evaluation_service_pb2 import CompareModelsRequest
from heatproof.v1.evaluation_service_pb2_grpc import EvaluationServiceStub

COMPARE: Final = Rpc(EvaluationServiceStub, "CompareModels")

EvaluationSource: TypeAlias = Report | str
"""An evaluation that the server keeps: its report, or a name `evaluations/...`."""


def compare_models(
    evaluation: EvaluationSource,
    *,
    reference: str = "",
    abs_tolerance: float | None = None,
    timeout: float | None = None,
) -> Flow[ModelComparisons]:
    """Compares the models of an evaluation on the images that they share.

    Each quantity with what every model comes to, and the paired differences with their 95 %
    intervals and two-sided p-values, which are corrected over the whole comparison. Runs no model.

    Args:
        evaluation: a report of at least two models, or a name `evaluations/...`.
        reference: name `models/...` of the model that each other one is held against; "" for all
            pairs.
        abs_tolerance: units that differ by no more count as equal in tests; None: 1e-4.
        timeout: most seconds, uploads and waiting included; None: the client's, or none.

    Raises:
        ServiceError: the server refused it, as an `explanation_consistency` whose background each
            map decides for itself.
    """
    yield from limit(timeout)
    name = evaluation if isinstance(evaluation, str) else evaluation.evaluation.name
    request = CompareModelsRequest(
        name=name, reference_model=reference, abs_tolerance=abs_tolerance
    )
    found: list[ModelComparison] = yield from patiently(Stream(COMPARE, request))
    models = () if isinstance(evaluation, str) else evaluation.models
    return ModelComparisons(tuple(found), Captions.of(models, found))
