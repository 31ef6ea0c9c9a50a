"""Weights of a trainer's images, over a real socket."""

import grpc
import pytest

from heatproof.v1 import evaluation_service_pb2 as pb
from heatproof.v1 import results_pb2
from tests.system.evaluations.colour_server import Evaluating


def weights(served: Evaluating, name: str) -> list[results_pb2.ConsistencyWeight]:
    request = pb.ListConsistencyWeightsRequest(name=name)
    return list(served.stub.ListConsistencyWeights(request, timeout=60))


def test_every_image_has_one_minus_its_consistency(served: Evaluating) -> None:
    metric = {"explanation_consistency": {"epsilon": 0.01, "threshold": 0.5}}
    name = served.create_and_end(served.spec(metrics=[metric], removals=[]))
    images, found = served.images(name), weights(served, name)
    assert [one.image for one in found] == [image.image for image in images]
    assert any(one.HasField("weight") for one in found)
    for one, image in zip(found, images, strict=True):
        (score,) = image.scores
        if one.HasField("weight"):
            assert one.weight == 1 - score.score.value
            assert one.flipped == (score.parts["flipped"].value == 1)
        else:
            assert one.undefined == score.score.undefined


def test_an_evaluation_of_something_else_is_told_what_it_lacks(served: Evaluating) -> None:
    name = served.create_and_end(served.spec())
    with pytest.raises(grpc.RpcError) as failure:
        weights(served, name)
    assert failure.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "explanation_consistency" in failure.value.details()
