"""Which metrics of an evaluation deserve trust."""

from typing import Final

from heatproof.client.clients.effects import Flow, Rpc, Stream, limit
from heatproof.client.clients.flows.comparisons import EvaluationSource
from heatproof.client.clients.retries import patiently
from heatproof.client.documents.captions import Captions
from heatproof.client.documents.results import MetricReliabilities
from heatproof.v1.evaluation_service_pb2 import AssessMetricsRequest
from heatproof.v1.evaluation_service_pb2_grpc import EvaluationServiceStub
from heatproof.v1.reliability_pb2 import MetricReliability

ASSESS: Final = Rpc(EvaluationServiceStub, "AssessMetrics")


def assess_metrics(
    evaluation: EvaluationSource, *, timeout: float | None = None
) -> Flow[MetricReliabilities]:
    """Says which metrics of an evaluation deserve trust on its models and images.

    Each metric with how it rates maps whose order is known, whether images and explainers agree,
    and what noise on a map does, with 95 % intervals. Runs no model.

    Args:
        evaluation: a report, or a name `evaluations/...`; it must have the explainer `random`.
        timeout: most seconds, uploads and waiting included; None: the client's, or none.

    Raises:
        ServiceError: the server refused it, for the evaluation lacks what metrics are tested by.
    """
    yield from limit(timeout)
    name = evaluation if isinstance(evaluation, str) else evaluation.evaluation.name
    found: list[MetricReliability] = yield from patiently(
        Stream(ASSESS, AssessMetricsRequest(name=name))
    )
    models = () if isinstance(evaluation, str) else evaluation.models
    results = () if isinstance(evaluation, str) else evaluation.results
    return MetricReliabilities(tuple(found), Captions.of(models, results))
