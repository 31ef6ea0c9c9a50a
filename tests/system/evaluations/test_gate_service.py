"""GateEvaluation over a real socket."""

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from heatproof.v1 import evaluation_service_pb2 as pb
from heatproof.v1 import gate_pb2
from tests.system.evaluations.colour_server import Evaluating

PASS, FAIL = gate_pb2.CheckResult.OUTCOME_PASS, gate_pb2.CheckResult.OUTCOME_FAIL


@pytest.fixture(scope="session")
def done(served: Evaluating) -> Any:
    """An evaluation of both networks that has ended."""
    return served.end(served.create(served.spec(served.sound, served.crippled)))


@pytest.fixture(scope="session")
def alone(served: Evaluating) -> Any:
    """An evaluation of the sound network that has ended."""
    return served.end(served.create(served.spec()))


def policy(served: Evaluating, **check: float) -> gate_pb2.Policy:
    spec = served.spec()
    return gate_pb2.Policy(
        model={"preprocessing": spec.preprocessing},
        explainers=spec.explainers,
        removals=spec.removals,
        seed=spec.seed,
        checks=[{"metric": spec.metrics[0], **check}],
    )


def gate(served: Evaluating, name: str, rules: gate_pb2.Policy, **rest: Any) -> Any:
    request = pb.GateEvaluationRequest(name=name, policy=rules, **rest)
    return served.stub.GateEvaluation(request, timeout=60)


def recorded(served: Evaluating, **changes: Any) -> gate_pb2.Baseline:
    """A baseline of the sound network."""
    found = served.end(served.create(served.spec(**changes)))
    return gate_pb2.Baseline(
        model=served.sound, evaluation=found, image_results=served.images(found.name)
    )


@pytest.mark.parametrize(("bound", "outcome"), [(0.1, PASS), (0.999, FAIL)])
def test_a_bound_decides(served: Evaluating, alone: Any, bound: float, outcome: int) -> None:
    verdict = gate(served, alone.name, policy(served, min=bound))

    assert [check.outcome for check in verdict.checks] == [outcome]


def test_a_model_compared_with_its_own_record_has_no_drop(served: Evaluating, alone: Any) -> None:
    rules = policy(served, max_regression=0.05)

    (check,) = gate(served, alone.name, rules, recorded_baseline=recorded(served)).checks

    assert check.outcome == PASS
    assert (check.regression.pairs, check.regression.drop) == (12, 0)


def test_a_crippled_model_fails_against_the_sound_one(served: Evaluating, done: Any) -> None:
    rules = policy(served, max_regression=0)

    verdict = gate(served, done.name, rules, model=served.crippled, baseline_model=served.sound)

    assert [check.outcome for check in verdict.checks] == [FAIL]
    assert verdict.checks[0].regression.drop > 0


@pytest.mark.parametrize("field", ["seed", "dataset"])
def test_another_baseline_is_refused_by_field(served: Evaluating, alone: Any, field: str) -> None:
    change = {"seed": 4} if field == "seed" else {"dataset": served.others}
    baseline = recorded(served, **change)

    with pytest.raises(grpc.RpcError) as refused:
        gate(served, alone.name, policy(served, max_regression=0), recorded_baseline=baseline)

    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert ("seed" if field == "seed" else "image") in refused.value.details()


def test_an_unknown_model_is_refused(served: Evaluating, done: Any) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        gate(served, done.name, policy(served, min=0), model="models/" + "0" * 64)

    codes = {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT}
    assert refused.value.code() in codes


def refused_beforehand(served: Evaluating, **request: Any) -> grpc.RpcError:
    """The refusal of an evaluation, after which there are as many evaluations as before."""
    before = len(served.stub.ListEvaluations(pb.ListEvaluationsRequest()).evaluations)
    with pytest.raises(grpc.RpcError) as caught:
        served.stub.CreateEvaluation(
            pb.CreateEvaluationRequest(spec=served.spec(), **request), timeout=60
        )
    assert len(served.stub.ListEvaluations(pb.ListEvaluationsRequest()).evaluations) == before
    return caught.value


@pytest.mark.parametrize(
    ("check", "field"),
    [
        ({}, "policy.checks[0]"),
        ({"min": 0.9, "max": 0.1}, "policy.checks[0].min"),
        ({"min": float("nan")}, "policy.checks[0].min"),
        ({"min": 0.1, "min_scored": 1.5}, "policy.checks[0].min_scored"),
        ({"min": 0.1, "removal": {"white": {}}}, "policy.checks[0].removal"),
        ({"min": 0.1, "explainer": {"rise": {"masks": 9}}}, "policy.checks[0].explainer"),
    ],
)
def test_an_unsound_policy_is_refused_before_anything_runs(
    served: Evaluating, check: dict[str, Any], field: str
) -> None:
    error = refused_beforehand(served, policy=policy(served, **check))

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in fields_of(error)


def test_a_baseline_of_another_spec_is_refused_before_anything_runs(served: Evaluating) -> None:
    other = recorded(served, seed=4)

    error = refused_beforehand(
        served, policy=policy(served, max_regression=0.1), recorded_baseline=other
    )

    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "seed" in error.details()


def test_an_outline_of_the_baseline_suffices_beforehand(served: Evaluating) -> None:
    full = recorded(served)
    outline = gate_pb2.Baseline(model=full.model, evaluation={"spec": full.evaluation.spec})
    for image in full.image_results:
        outline.image_results.add(image=image.image)
    request = pb.CreateEvaluationRequest(
        spec=served.spec(),
        policy=policy(served, max_regression=0.1),
        recorded_baseline=outline,
        validate_only=True,
    )

    assert served.stub.CreateEvaluation(request, timeout=60).predictions > 0


def fields_of(error: grpc.RpcError) -> list[str]:
    """Field paths of a refusal."""
    status = rpc_status.from_call(error)
    found = error_details_pb2.BadRequest()
    return [
        violation.field
        for detail in status.details
        if detail.Unpack(found)
        for violation in found.field_violations
    ]
