"""CompareModels over a real socket."""

import asyncio
from typing import Any

import grpc
import numpy as np
import onnx
import pytest

from heatproof.client import AsyncClient, Client
from heatproof.evaluators.statistics.permutation import holm
from heatproof.v1 import comparison_pb2
from heatproof.v1 import evaluation_service_pb2 as pb
from tests.system.evaluations.colour_server import Evaluating, network, square
from tests.system.refusals import refused

SMALL = {"grid": 4, "steps": 4}
METRICS = [
    {"insertion": SMALL},
    {"explanation_consistency": {"background": "BACKGROUND_SHARED"}},
    {"inter_model_deletion": SMALL},
]


def compared(served: Evaluating, name: str, **rest: Any) -> list[comparison_pb2.ModelComparison]:
    request = pb.CompareModelsRequest(name=name, **rest)
    return list(served.stub.CompareModels(request, timeout=60))


@pytest.fixture(scope="module")
def done(served: Evaluating) -> str:
    """An evaluation of both networks that has ended."""
    return served.create_and_end(
        served.spec(
            served.sound,
            served.crippled,
            metrics=METRICS,
            explainers=[{"grad_cam": {}}, {"centre": {}}],
        )
    )


@pytest.fixture(scope="module")
def found(served: Evaluating, done: str) -> list[comparison_pb2.ModelComparison]:
    return compared(served, done)


def test_every_quantity_that_each_model_has_is_compared(found: Any) -> None:
    named = [
        (one.metric.WhichOneof("metric"), one.explainer.WhichOneof("explainer"), one.part)
        for one in found
    ]
    assert named == [
        ("insertion", "grad_cam", ""),
        ("insertion", "centre", ""),
        ("explanation_consistency", "grad_cam", ""),
        ("explanation_consistency", "centre", ""),
        ("inter_model_deletion", "grad_cam", "quality"),
        ("inter_model_deletion", "grad_cam", "own_map_advantage"),
        ("inter_model_deletion", "centre", "quality"),
        ("inter_model_deletion", "centre", "own_map_advantage"),
    ]
    assert [one.control for one in found] == [False, True] * 2 + [False, False, True, True]


def test_values_are_those_of_the_results_where_all_images_are_shared(
    served: Evaluating, done: str, found: Any
) -> None:
    results = list(served.stub.ListMetricResults(pb.ListMetricResultsRequest(name=done)))
    for one in found:
        assert [held.model for held in one.models] == [served.sound, served.crippled]
        for place, held in enumerate(one.models):
            result = results[held.result]
            whole = result.parts[f"{one.part}[{place}]"] if one.part else result.summary
            if one.unshared_images == 0:
                assert held.summary == whole
            assert held.scored == whole.scored


def test_the_planted_network_is_worse(found: Any) -> None:
    insertion = found[0]
    (difference,) = insertion.differences
    assert difference.difference == pytest.approx(0.69, abs=0.01)
    assert 0 < difference.interval.lower < difference.difference < difference.interval.upper
    assert difference.p_value == 2 / 2**12
    assert difference.adjusted_p_value == pytest.approx(4 * difference.p_value)
    assert "confounded" in insertion.cautions[0]


def test_controls_are_columns_without_p_values(found: Any) -> None:
    for one in found:
        assert one.tests == 4
        assert all(each.HasField("p_value") != one.control for each in one.differences)
    quality, advantage = found[4:6]
    assert sorted(quality.controls) == ["centre", "random"]
    assert quality.controls["random"].scored == quality.images
    assert "one evaluator" in quality.cautions[0]
    assert not advantage.controls
    assert not advantage.cautions


def test_a_reference_turns_the_sign_of_what_is_taken_off(
    served: Evaluating, done: str, found: Any
) -> None:
    turned = compared(served, done, reference_model=served.sound)
    for before, after in zip(found, turned, strict=True):
        (plain,), (reversed_one,) = before.differences, after.differences
        assert (reversed_one.first, reversed_one.second) == (plain.second, plain.first)
        assert reversed_one.difference == -plain.difference
        assert reversed_one.p_value == plain.p_value


def test_the_sdk_reads_the_stream_into_tables(served: Evaluating, done: str, found: Any) -> None:
    with Client.connect(served.address) as client:
        got = client.compare_models(done, reference=served.sound)
        assert got.comparisons == tuple(compared(served, done, reference_model=served.sound))
        frame, values = got.to_pandas(), got.models_to_pandas()
    assert len(frame) == len(found)
    assert frame["difference"].tolist() == [-one.differences[0].difference for one in found]
    assert len(values) == sum(len(one.models) + len(one.controls) for one in found)


def test_quantities_of_several_tasks_are_corrected_together(served: Evaluating) -> None:
    """More results than a block has, and more quantities than a task takes."""
    metrics = [
        {name: {"grid": 4, "steps": steps}}
        for name in ("insertion", "deletion")
        for steps in range(1, 17)
    ]
    metrics += [{"insertion": {"grid": 2, "steps": steps}} for steps in range(1, 4)]
    name = served.create_and_end(served.spec(served.sound, served.crippled, metrics=metrics))
    got = served.stub.GetEvaluation(pb.GetEvaluationRequest(name=name))
    found = compared(served, name)
    assert [one.metric for one in found] == list(got.spec.metrics)
    assert {one.tests for one in found} == {len(metrics)} == {35}
    for place, one in enumerate(found):
        assert [held.result for held in one.models] == [place, place + 35]
    differences = [one.differences[0] for one in found]
    assert [each.adjusted_p_value for each in differences] == list(
        holm([each.p_value for each in differences])
    )


def test_both_clients_compare_what_they_have_evaluated(served: Evaluating, done: str) -> None:
    async def asked() -> Any:
        async with AsyncClient.connect(served.address) as client:
            return await client.compare_models(done)

    assert asyncio.run(asked()).comparisons == tuple(compared(served, done))


def ending(operator: str) -> bytes:
    """The sound network with an activation of its scores."""
    model = onnx.load_from_string(network(20.0))
    model.graph.node[-1].output[0] = "scores"
    model.graph.node.append(onnx.NodeProto(op_type=operator, input=["scores"], output=["logits"]))
    return model.SerializeToString()


@pytest.mark.parametrize(("first", "second"), [("Sigmoid", "Softmax"), ("Softmax", "Identity")])
def test_probabilities_of_two_kinds_are_told(client: Client, first: str, second: str) -> None:
    """A softmax in the graph and one of logits are the same kind."""
    report = client.evaluate(
        [ending(first), ending(second)],
        [square(seed) for seed in range(2)],
        preprocessing={"resize": "none"},
        metrics=[{"pointing_game": {}}, {"occlusion_robustness": {"grid": 4, "steps": 4}}],
        explainers=["grad_cam"],
        removals=["black"],
        masks=[np.eye(32) > 0] * 2,
        compare=True,
    )
    one, other = report.models
    for found in client.compare_models(report).comparisons:
        told = [text for text in found.cautions if "probabilities of" in text]
        assert len(told) == (first == "Sigmoid")
        for text in told:
            assert f"probabilities of {one.name} are of each class by itself" in text
            assert f"those of {other.name} are shares among the classes" in text


def refusal(served: Evaluating, name: str, **rest: Any) -> Any:
    with refused() as told:
        compared(served, name, **rest)
    return told


def test_what_cannot_be_compared_is_refused_with_a_way_out(served: Evaluating, done: str) -> None:
    missing = refusal(served, "evaluations/" + 20 * "0")
    assert missing.code is grpc.StatusCode.NOT_FOUND
    alone = refusal(served, served.create_and_end(served.spec()))
    assert (alone.code, alone.field) == (grpc.StatusCode.INVALID_ARGUMENT, "name")
    assert "evaluate at least 2 together" in alone.message
    stranger = refusal(served, done, reference_model="models/sha256-" + 64 * "0")
    assert (stranger.code, stranger.field) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "reference_model",
    )
    assert served.crippled in stranger.message
    for tolerance in (-1.0, float("inf"), float("nan")):
        assert refusal(served, done, abs_tolerance=tolerance).field == "abs_tolerance"


def test_an_evaluation_that_has_not_succeeded_is_refused(served: Evaluating) -> None:
    spec = served.spec(served.sound, served.crippled, metrics=[{"insertion": {"grid": 8}}], seed=9)
    name = served.create(spec)
    served.stub.CancelEvaluation(pb.CancelEvaluationRequest(name=name))
    with refused() as told:
        compared(served, name)
    assert (told.code, told.field) == (grpc.StatusCode.FAILED_PRECONDITION, "name")
    list(served.stub.WatchEvaluation(pb.WatchEvaluationRequest(name=name), timeout=60))
    assert "evaluate anew" in refusal(served, name).message


def test_a_background_of_each_map_is_refused_even_beforehand(served: Evaluating) -> None:
    spec = served.spec(
        served.sound, served.crippled, metrics=[{"explanation_consistency": {}}], removals=[]
    )
    late = refusal(served, served.create_and_end(spec))
    with refused() as early:
        served.stub.CreateEvaluation(pb.CreateEvaluationRequest(spec=spec, compare=True))
    for told in (late, early):
        assert told.code is grpc.StatusCode.INVALID_ARGUMENT
        assert "background object" in told.message
        assert "background shared" in told.message
    assert late.field == "name"
    assert early.field == "spec.metrics[0].explanation_consistency.background"


def test_an_evaluation_of_one_model_is_refused_beforehand_if_it_is_to_be_compared(
    served: Evaluating,
) -> None:
    with refused() as told:
        served.stub.CreateEvaluation(pb.CreateEvaluationRequest(spec=served.spec(), compare=True))
    assert told.field == "spec.models"
