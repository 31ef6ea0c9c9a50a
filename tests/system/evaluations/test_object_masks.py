"""Object masks on their way from a request to the metric that reads them, over a real socket."""

from typing import Any

import cv2
import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from heatproof.v1 import dataset_service_pb2, gate_pb2
from heatproof.v1 import evaluation_service_pb2 as pb
from heatproof.v1.metrics.robustness_pb2 import ExplanationConsistency
from tests.system.evaluations.colour_server import Evaluating, square

CONSISTENCY = {"explanation_consistency": {"epsilon": 0.01}}


def mask(seed: int) -> bytes:
    """The square of a picture as a PNG mask; larger than it, so that a background is left."""
    pixels = np.zeros((32, 32), np.uint8)
    row, column = 8 * (seed % 3), 8 * (seed % 2)
    pixels[row : row + 8, column : column + 16] = 255
    return cv2.imencode(".png", pixels)[1].tobytes()


def evaluated(served: Evaluating, *masked: bool, **parameters: Any) -> Any:
    """An inline evaluation of pictures, with a mask where it is said."""
    metric = {"explanation_consistency": {**CONSISTENCY["explanation_consistency"], **parameters}}
    spec = served.spec(dataset="", metrics=[metric], removals=[])
    images = [
        {
            "encoded": square(seed),
            **({"object_mask": {"frame": "FRAME_SOURCE", "encoded": mask(seed)}} if has else {}),
        }
        for seed, has in enumerate(masked)
    ]
    return served.stub.Evaluate(pb.EvaluateRequest(spec=spec, images=images), timeout=60)


def refusal(error: grpc.RpcError) -> str:
    status = rpc_status.from_call(error)
    found = error_details_pb2.BadRequest()
    assert any(detail.Unpack(found) for detail in status.details)
    return found.field_violations[0].field


def test_masks_become_the_background_in_force_and_results_name_it(served: Evaluating) -> None:
    reply = evaluated(served, True, True)
    (result,) = reply.evaluation.results
    assert (
        result.metric.explanation_consistency.background == ExplanationConsistency.BACKGROUND_OBJECT
    )
    # 16 x 8 of 32 x 32 pixels belong to the object.
    for image in reply.image_results:
        assert image.scores[0].parts["background_share"].value == 1 - 128 / 1024


def test_an_image_without_a_mask_says_so_where_others_have_one(served: Evaluating) -> None:
    first, second = evaluated(served, False, True).image_results
    assert first.scores[0].score.undefined.reason == "NO_OBJECT"
    assert second.scores[0].parts["background_share"].value == 1 - 128 / 1024


def test_without_masks_the_map_tells_the_background(served: Evaluating) -> None:
    (result,) = evaluated(served, False, False).evaluation.results
    assert result.metric.explanation_consistency.background == ExplanationConsistency.BACKGROUND_MAP


@pytest.mark.parametrize("background", ["BACKGROUND_OBJECT", "BACKGROUND_SHARED"])
def test_a_background_that_cannot_be_told_is_refused_before_the_first_pass(
    served: Evaluating, background: str
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        evaluated(served, False, False, background=background)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    field = "spec.metrics[0].explanation_consistency.background"
    assert refusal(refused.value) == field


def rules(served: Evaluating, **check: Any) -> gate_pb2.Policy:
    spec = served.spec()
    return gate_pb2.Policy(
        model={"preprocessing": spec.preprocessing},
        explainers=spec.explainers,
        seed=spec.seed,
        checks=[{"metric": CONSISTENCY, **check}],
    )


def test_a_regression_by_the_maps_background_is_refused_before_and_after(
    served: Evaluating,
) -> None:
    spec = served.spec(metrics=[CONSISTENCY], removals=[])
    policy = rules(served, max_regression=0.1)
    asked = pb.CreateEvaluationRequest(spec=spec, policy=policy, validate_only=True)
    with pytest.raises(grpc.RpcError) as before:
        served.stub.CreateEvaluation(asked, timeout=60)
    name = served.create_and_end(spec)
    judged = pb.GateEvaluationRequest(name=name, policy=policy, baseline_model=served.sound)
    with pytest.raises(grpc.RpcError) as after:
        served.stub.GateEvaluation(judged, timeout=60)
    for error in (before.value, after.value):
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "background object" in (error.details() or "")
        field = "checks[0].metric.explanation_consistency.background"
        assert refusal(error).removeprefix("policy.") == field


def test_a_bound_of_a_background_left_open_is_answered(served: Evaluating) -> None:
    name = served.create_and_end(served.spec(metrics=[CONSISTENCY], removals=[]))
    request = pb.GateEvaluationRequest(name=name, policy=rules(served, min=0.0))
    (check,) = served.stub.GateEvaluation(request, timeout=60).checks
    assert check.result == 0


def uploaded(served: Evaluating, *masks: bytes, label: int = 1) -> str:
    """A data set of the same pictures with these masks."""
    messages = [
        dataset_service_pb2.UploadDatasetRequest(
            image={
                "encoded": square(seed),
                "label": label,
                "object_mask": {"frame": "FRAME_SOURCE", "encoded": png},
            }
        )
        for seed, png in enumerate(masks)
    ]
    header = dataset_service_pb2.UploadDatasetRequest(
        header=dataset_service_pb2.UploadDatasetHeader()
    )
    return str(served.datasets.UploadDataset(iter([header, *messages]), timeout=60).name)


@pytest.mark.parametrize("differing", ["object_masks", "labels"])
def test_a_baseline_with_other_masks_or_labels_is_refused_before_and_after(
    served: Evaluating, differing: str
) -> None:
    masks = [mask(seed) for seed in range(8)]
    others = [*masks[:6], mask(1), mask(0)] if differing == "object_masks" else masks
    first = uploaded(served, *masks)
    second = uploaded(served, *others, label=1 if differing == "object_masks" else 2)
    metric = {"explanation_consistency": {"epsilon": 0.01, "background": "BACKGROUND_OBJECT"}}
    specs = [served.spec(dataset=name, metrics=[metric], removals=[]) for name in (first, second)]
    baseline, candidate = (served.create_and_end(spec) for spec in specs)
    held = gate_pb2.Baseline(
        model=served.sound,
        evaluation=served.end(baseline),
        image_results=served.images(baseline, "VIEW_BASIC"),
    )
    policy = rules(served, max_regression=0.1)
    policy.checks[
        0
    ].metric.explanation_consistency.background = ExplanationConsistency.BACKGROUND_OBJECT
    policy.seed = specs[0].seed
    served.stub.GateEvaluation(
        pb.GateEvaluationRequest(name=baseline, policy=policy, recorded_baseline=held), timeout=60
    )
    judged = pb.GateEvaluationRequest(name=candidate, policy=policy, recorded_baseline=held)
    asked = pb.CreateEvaluationRequest(spec=specs[1], policy=policy, recorded_baseline=held)
    count = 2 if differing == "object_masks" else 8
    for call, request in (
        (served.stub.GateEvaluation, judged),
        (served.stub.CreateEvaluation, asked),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            call(request, timeout=60)
        assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert f"{differing} (of {count} of 8 images" in (refused.value.details() or "")
