"""The limits of Evaluate over a real socket."""

import grpc
import pytest

from heatproof.v1 import evaluation_service_pb2 as pb
from tests.system.evaluations.colour_server import Evaluating, square


@pytest.mark.parametrize(("images", "steps"), [(16, 400)])
def test_too_much_at_once_is_refused(served: Evaluating, images: int, steps: int) -> None:
    metric = {"insertion": {"grid": 20, "steps": steps}}
    spec = served.spec(dataset="", metrics=[metric])
    sent = [{"encoded": square(seed)} for seed in range(images)]

    with pytest.raises(grpc.RpcError) as refused:
        served.stub.Evaluate(pb.EvaluateRequest(spec=spec, images=sent), timeout=60)

    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "CreateEvaluation" in refused.value.details()


def test_validation_alone_creates_nothing(served: Evaluating) -> None:
    before = served.stub.ListEvaluations(pb.ListEvaluationsRequest())

    request = pb.CreateEvaluationRequest(spec=served.spec(), validate_only=True)
    quoted = served.stub.CreateEvaluation(request, timeout=60)

    assert quoted.predictions > 0
    assert served.stub.ListEvaluations(pb.ListEvaluationsRequest()) == before
