"""Another model judges the maps, over a real socket."""

from typing import Any

import grpc

from heatproof.v1 import evaluation_service_pb2 as pb
from tests.system.evaluations.colour_server import Evaluating
from tests.system.refusals import refused

METRICS = [{"deletion": {"grid": 4, "steps": 4}}]


def scores(served: Evaluating, **changes: Any) -> list[float]:
    name = served.create_and_end(served.spec(metrics=METRICS, **changes))
    return [image.scores[0].score.value for image in served.images(name)]


def test_the_evaluator_answers_what_is_asked_of_masked_images(served: Evaluating) -> None:
    """The crippled network can hardly tell colours, so that its answers barely fall."""
    own = scores(served)
    assert scores(served, evaluator_model=served.sound) == own
    judged = scores(served, evaluator_model=served.crippled)
    assert all(abs(score - 0.2) < 0.05 for score in judged)
    assert all(abs(score - 0.2) > 0.05 for score in own)


def test_an_evaluator_that_is_not_stored_is_not_found_by_its_field(served: Evaluating) -> None:
    spec = served.spec(metrics=METRICS, evaluator_model="models/sha256-" + 64 * "0")
    with refused() as status:
        served.stub.CreateEvaluation(pb.CreateEvaluationRequest(spec=spec), timeout=60)
    assert status.code is grpc.StatusCode.NOT_FOUND
    assert status.field == "spec.evaluator_model"


def test_a_name_that_is_none_is_refused_by_its_field(served: Evaluating) -> None:
    spec = served.spec(metrics=METRICS, evaluator_model="crippled.onnx")
    with refused() as status:
        served.stub.CreateEvaluation(pb.CreateEvaluationRequest(spec=spec), timeout=60)
    assert status.code is grpc.StatusCode.INVALID_ARGUMENT
    assert status.field == "spec.evaluator_model"
