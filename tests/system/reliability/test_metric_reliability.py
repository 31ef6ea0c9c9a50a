"""AssessMetrics over a real socket."""

from typing import Any

import grpc
import pytest

from heatproof.v1 import evaluation_service_pb2 as pb
from heatproof.v1 import reliability_pb2
from tests.system.evaluations.colour_server import Evaluating
from tests.system.refusals import refused

SMALL = {"grid": 4, "steps": 4}
EXPLAINERS = [
    {"random": {"grid": 4}},
    {"centre": {}},
    {"grad_cam": {}},
    {"saliency": {}},
    {"disturbed": {"of": {"grad_cam": {}}, "grid": 4}},
    {"occlusion": {"patch": 8, "stride": 8, "removal": {"black": {}}}},
]


def assessed(served: Evaluating, name: str) -> list[reliability_pb2.MetricReliability]:
    return list(served.stub.AssessMetrics(pb.AssessMetricsRequest(name=name), timeout=60))


@pytest.fixture(scope="module")
def found(served: Evaluating) -> list[reliability_pb2.MetricReliability]:
    spec = served.spec(
        served.sound,
        served.crippled,
        metrics=[{"insertion": SMALL}, {"occlusion_robustness": {"grid": 4, "steps": 4}}],
        explainers=EXPLAINERS,
    )
    return assessed(served, served.create_and_end(spec))


def test_there_is_one_message_a_model_and_metric_that_rates_maps(
    served: Evaluating, found: Any
) -> None:
    assert [(one.model, one.metric.WhichOneof("metric")) for one in found] == [
        (served.sound, "insertion"),
        (served.crippled, "insertion"),
    ]
    assert all(one.images == 12 for one in found)


def test_summaries_are_those_of_the_evaluation(served: Evaluating) -> None:
    name = served.create_and_end(served.spec(metrics=[{"insertion": SMALL}], explainers=EXPLAINERS))
    results = {one.index: one for one in served.end(name).results}
    for rated in assessed(served, name)[0].maps:
        assert rated.summary.value == results[rated.result].summary.value
        assert rated.explainer == results[rated.result].explainer


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"explainers": [{"grad_cam": {}}]}, "random is missing"),
        ({"explainers": [{"random": {"grid": 4}}]}, "controls alone"),
    ],
)
def test_an_evaluation_that_cannot_tell_is_refused_before_it_runs_and_after(
    served: Evaluating, changes: dict[str, Any], told: str
) -> None:
    spec = served.spec(**changes)
    beforehand = pb.CreateEvaluationRequest(spec=spec, assess=True)
    with refused() as status:
        served.stub.CreateEvaluation(beforehand, timeout=60)
    assert status.code is grpc.StatusCode.INVALID_ARGUMENT
    assert told in status.message
    assert status.field == "spec.explainers"
    name = served.create_and_end(spec)
    with refused() as status:
        assessed(served, name)
    assert status.code is grpc.StatusCode.FAILED_PRECONDITION
    assert told in status.message
    assert status.field == "name"


def test_an_unknown_evaluation_is_not_found(served: Evaluating) -> None:
    with refused() as status:
        assessed(served, "evaluations/" + 20 * "0")
    assert status.code is grpc.StatusCode.NOT_FOUND
