"""What a stored evaluation shows of itself."""

import hashlib

import grpc
import numpy as np
import pytest

from heatproof.v1 import evaluation_service_pb2 as pb
from heatproof.v1 import image_pb2
from tests.system.evaluations.colour_server import Evaluating, square
from tests.system.refusals import refused


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


def test_a_class_matrix_is_read_whole_and_named_by_its_digest(served: Evaluating) -> None:
    """By the identity predicted and true classes are as alike as they are equal."""
    matrix = np.eye(5, dtype="<f4").tobytes()
    removal = {"regions": {"grid": {"side": 4}}, "similarity": {"classes": 5, "values": matrix}}
    spec = served.spec(
        metrics=[{"segment_removal": removal}], explainers=[], removals=[{"black": {}}]
    )
    (result,) = served.end(served.create(spec)).results
    echoed = result.metric.segment_removal.similarity
    assert (echoed.classes, echoed.values) == (5, b"")
    assert echoed.sha256 == hashlib.sha256(matrix).hexdigest()
    parts = result.parts
    assert parts["class_similarity"].scored == parts["accuracy"].scored == 12
    assert parts["class_similarity"].value == pytest.approx(parts["accuracy"].value)
    assert result.parts["unchanged_0_of_10"].interval.method == "wilson"

    spec.metrics[0].segment_removal.similarity.classes = 4
    with refused() as refusal:
        served.create(spec)
    assert refusal.field == "spec.metrics[0].segment_removal.similarity.values"
    spec.metrics[0].segment_removal.similarity.values = matrix[:64]
    with refused() as refusal:
        served.create(spec)
    assert refusal.field == "spec.metrics[0].segment_removal.similarity.classes"
    assert "4 classes, but the model 5" in refusal.message
