"""What a stored evaluation shows of itself."""

import grpc
import pytest

from heatproof.v1 import evaluation_service_pb2 as pb
from heatproof.v1 import image_pb2
from tests.system.evaluations.colour_server import Evaluating, square


def images(count: int) -> list[image_pb2.Image]:
    return [image_pb2.Image(encoded=square(seed)) for seed in range(count)]


def test_inline_scores_equal_those_of_a_stored_evaluation(served: Evaluating) -> None:
    request = pb.EvaluateRequest(spec=served.spec(dataset=""), images=images(12))
    reply = served.stub.Evaluate(request, timeout=60)

    stored = served.images(served.create_and_end(served.spec()))
    inline = {image.image: image.scores[0].score.value for image in reply.image_results}
    assert inline == {image.image: image.scores[0].score.value for image in stored}
    assert not reply.evaluation.name


def test_seventeen_images_are_sent_to_create_evaluation(served: Evaluating) -> None:
    request = pb.EvaluateRequest(spec=served.spec(dataset=""), images=images(17))

    with pytest.raises(grpc.RpcError) as failure:
        served.stub.Evaluate(request, timeout=60)

    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "CreateEvaluation" in failure.value.details()


def test_the_basic_view_has_scores_but_no_curves(served: Evaluating) -> None:
    name = served.create_and_end(served.spec())

    basic = [image.scores[0] for image in served.images(name, "VIEW_BASIC")]
    full = [image.scores[0] for image in served.images(name, "VIEW_FULL")]

    assert [score.score for score in basic] == [score.score for score in full]
    assert not any(score.curves for score in basic)
    assert all(score.curves for score in full)


def test_an_ended_evaluation_can_be_deleted_once(served: Evaluating) -> None:
    request = pb.DeleteEvaluationRequest(name=served.create_and_end(served.spec()))
    served.stub.DeleteEvaluation(request, timeout=60)

    with pytest.raises(grpc.RpcError) as failure:
        served.stub.DeleteEvaluation(request, timeout=60)

    assert failure.value.code() is grpc.StatusCode.NOT_FOUND
