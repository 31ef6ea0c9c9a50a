import asyncio
import inspect
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2

from heatproof.client import (
    AsyncClient,
    AsyncEvaluationHandle,
    Client,
    EvaluationCancelledError,
    EvaluationFailedError,
    EvaluationHandle,
    InvalidArgumentError,
    PartialAnnotationsWarning,
    ResourceExhaustedError,
    UnavailableError,
    UsageError,
)
from heatproof.client.documents.results.ranking import PICTURED_IMAGES
from heatproof.client.errors import FieldViolation
from heatproof.v1.evaluation_pb2 import Evaluation
from tests.client import fakes
from tests.client.canned import png
from tests.client.conftest import POLICY
from tests.client.relay import relayed

QUESTION: dict[str, Any] = {
    "preprocessing": "imagenet",
    "metrics": ["deletion", {"insertion": {"grid": 7}}],
    "explainers": ["grad_cam"],
    "removals": ["black"],
}


@pytest.mark.filterwarnings("ignore:. of . images have")
def test_an_evaluation_is_asked_for_as_the_caller_says(
    client: Client, script: fakes.Script, model_file: Path, image_folder: Path
) -> None:
    client.evaluate(
        model_file, image_folder, labels={"a.png": 2}, target="label", seed=5, **QUESTION
    )

    request = script.calls["CreateEvaluation"][0]
    assert len(request.request_id) == 36
    assert [metric.WhichOneof("metric") for metric in request.spec.metrics] == [
        "deletion",
        "insertion",
    ]
    assert request.spec.metrics[1].insertion.grid == 7
    assert request.spec.target.WhichOneof("target") == "label"
    assert request.spec.seed == 5
    assert [image.display_name for image in script.images] == ["a.png", "b.png", "sub/c.png"]
    assert script.images[0].label == 2


UNREAD: dict[str, tuple[str, dict[str, Any]]] = {
    "objects": ("the object masks", {"masks": [np.ones((4, 4), np.uint8)] * 3}),
    "boxes": ("by their boxes", {"boxes": [[[0, 0, 2, 2]]] * 3}),
    "replacement": ("shows the replacements", {"replacements": [png()] * 3}),
}


@pytest.mark.parametrize("read", UNREAD)
@pytest.mark.parametrize("is_read", [True, False])
def test_what_is_sent_and_not_read_is_warned_of(  # noqa: PLR0917  # fixtures and cases
    read: str,
    is_read: bool,
    client: Client,
    script: fakes.Script,
    model_file: Path,
    image_folder: Path,
) -> None:
    words, given = UNREAD[read]
    script.reads = ["label", read] if is_read else ["label"]
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        client.evaluate(model_file, image_folder, **given, **QUESTION)
    told = [str(held.message) for held in noted if held.category is PartialAnnotationsWarning]
    assert any(words in text for text in told) == (not is_read)


def test_both_clients_give_the_same_report(
    address: str, model_file: Path, image_folder: Path
) -> None:
    async def asked() -> Any:
        async with AsyncClient.connect(address) as client:
            return await client.evaluate(model_file, image_folder, **QUESTION)

    with Client.connect(address) as client:
        blocking = client.evaluate(model_file, image_folder, **QUESTION)

    assert asyncio.run(asked()) == blocking


def test_both_clients_offer_the_same_methods() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert public(Client) == public(AsyncClient)
    for name in public(Client) - {"close", "connect", "embedded", "perform"}:
        methods = getattr(Client, name), getattr(AsyncClient, name)
        signatures = [str(inspect.signature(method)) for method in methods]
        assert signatures[0] == signatures[1].replace("AsyncEvaluationHandle", "EvaluationHandle")


def test_both_handles_offer_the_same_methods() -> None:
    def public(kind: type) -> dict[str, inspect.Signature]:
        return {
            name: inspect.signature(method)
            for name, method in vars(kind).items()
            if not name.startswith("_")
        }

    assert public(EvaluationHandle) == public(AsyncEvaluationHandle)


def test_a_report_becomes_tables(client: Client, model_file: Path, image_folder: Path) -> None:
    report = client.evaluate(model_file, image_folder, **QUESTION)

    frame, images = report.to_pandas(), report.images_to_pandas()

    assert list(frame["metric"]) == ["deletion", "insertion"]
    assert list(frame["lower"]) == [0.4, 0.4]
    assert len(images) == 6
    assert images["undefined"][0] == "DEGENERATE"
    assert np.isnan(images["value"][0])


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_stream_that_is_cut_and_read_again_loses_no_overlay(
    address: str, script: fakes.Script, model_file: Path, asynchronous: bool
) -> None:
    images = [png(grey=index) for index in range(PICTURED_IMAGES + 20)]
    whole = {**QUESTION, "keep_overlays": True}

    async def asked(way: str) -> Any:
        async with AsyncClient.connect(way) as client:
            return await client.evaluate(model_file, images, **whole)

    with relayed(address, whole=40_000) as relay:
        if asynchronous:
            report = asyncio.run(asked(relay.address))
        else:
            with Client.connect(relay.address) as client:
                report = client.evaluate(model_file, images, **whole)

    assert len(script.calls["ListImageResults"]) == 2
    # Higher is better and the scores ascend; the first image has none.
    drawn = [(len(image.overlays), len(image.input_pictures)) for image in report.images]
    assert drawn == [(0, 0)] + [(1, 1)] * PICTURED_IMAGES + [(0, 0)] * 19


def test_an_unreachable_server_is_tried_again_and_again(
    client: Client, script: fakes.Script, pauses: list[float]
) -> None:
    script.failures["GetCatalog"] = [fakes.status("UNAVAILABLE", "restarting")] * 3

    assert client.catalog().metrics[0].name == "deletion"
    assert pauses == [0.2, 0.4, 0.8]


def test_patience_with_an_unreachable_server_ends(
    client: Client, script: fakes.Script, pauses: list[float]
) -> None:
    script.failures["GetCatalog"] = [fakes.status("UNAVAILABLE", "gone")] * 99

    with pytest.raises(UnavailableError, match="gone"):
        client.catalog()
    assert len(pauses) == 5


def test_an_overloaded_server_says_when_to_come_back(
    client: Client, script: fakes.Script, pauses: list[float]
) -> None:
    later = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=7))
    script.failures["GetCatalog"] = [fakes.status("RESOURCE_EXHAUSTED", "full", later)]

    client.catalog()

    assert pauses == [7.0]


def test_a_limit_is_no_reason_to_try_again(
    client: Client, script: fakes.Script, pauses: list[float]
) -> None:
    script.failures["GetCatalog"] = [fakes.status("RESOURCE_EXHAUSTED", "too large")]

    with pytest.raises(ResourceExhaustedError):
        client.catalog()
    assert pauses == []


def test_a_message_that_grpc_itself_refuses_is_told_with_a_way_out(
    client: Client, script: fakes.Script
) -> None:
    said = "SERVER: Received message larger than max (62914560 vs. 16842752)"
    script.failures["GetCatalog"] = [fakes.status("RESOURCE_EXHAUSTED", said)]

    with pytest.raises(
        ResourceExhaustedError, match=r"62914560 bytes.*HEATPROOF_MAX_MESSAGE"
    ) as it:
        client.catalog()
    assert it.value.reason == "LIMIT_EXCEEDED"


def test_an_error_carries_everything_the_server_said(
    client: Client, script: fakes.Script, model_file: Path
) -> None:
    violation = error_details_pb2.BadRequest.FieldViolation(field="name", description="is odd")
    details = (
        fakes.error_info("INVALID_MODEL", node="conv1"),
        error_details_pb2.BadRequest(field_violations=[violation]),
    )
    script.failures["GetModel"] = [fakes.status("INVALID_ARGUMENT", "not a model", *details)]

    with pytest.raises(InvalidArgumentError, match="name: not a model") as caught:
        client.inspect(model_file)

    assert caught.value.reason == "INVALID_MODEL"
    assert caught.value.metadata == {"node": "conv1"}
    assert caught.value.violations == (FieldViolation("name", "is odd"),)


def test_a_failed_evaluation_is_an_error_with_its_reason(
    client: Client, script: fakes.Script, model_file: Path
) -> None:
    script.state = Evaluation.STATE_FAILED
    script.error = fakes.status("INTERNAL", "worker died", fakes.error_info("WORKER_CRASHED"))

    with pytest.raises(EvaluationFailedError, match="worker died") as caught:
        client.evaluate(model_file, png(), **QUESTION)
    assert caught.value.reason == "WORKER_CRASHED"

    script.state, script.error = Evaluation.STATE_CANCELLED, None
    with pytest.raises(EvaluationCancelledError):
        client.evaluate(model_file, png(), **QUESTION)


def test_an_interrupt_cancels_the_evaluation_on_the_server(
    client: Client, script: fakes.Script, model_file: Path
) -> None:
    def interrupt(progress: Any) -> None:
        if progress.stage == "evaluate":
            raise KeyboardInterrupt

    script.hangs = True
    with pytest.raises(KeyboardInterrupt):
        client.evaluate(model_file, png(), on_progress=interrupt, **QUESTION)

    assert script.calls["CancelEvaluation"][0].name == "evaluations/e1"


async def test_cancelling_the_task_cancels_the_evaluation_on_the_server(
    address: str, script: fakes.Script, model_file: Path
) -> None:
    running = asyncio.Event()
    script.hangs = True
    async with AsyncClient.connect(address) as client:
        flow = client.evaluate(
            model_file,
            png(),
            on_progress=lambda at: running.set() if at.stage == "evaluate" else None,
            **QUESTION,
        )
        task = asyncio.create_task(flow)
        await running.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert len(script.calls["CancelEvaluation"]) == 1


def test_an_unreadable_image_is_named_although_grpc_asked_for_it(
    client: Client, address: str, model_file: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 2)))

    async def asked() -> None:
        async with AsyncClient.connect(address) as other:
            await other.evaluate(model_file, tmp_path / "a.npy", **QUESTION)

    with pytest.raises(UsageError, match=r"\[height, width, 3\]"):
        client.evaluate(model_file, tmp_path / "a.npy", **QUESTION)
    with pytest.raises(UsageError, match=r"\[height, width, 3\]"):
        asyncio.run(asked())


def test_many_images_are_explained_in_requests_of_sixteen(
    client: Client, script: fakes.Script, model_file: Path
) -> None:
    images = [np.zeros((2, 2, 3), np.uint8)] * 17

    maps = client.explain(
        model_file, images, preprocessing="unit", explainers=["saliency"], overlay=True
    )

    assert [len(request.images) for request in script.calls["Explain"]] == [16, 1]
    assert [explained.image for explained in maps][15:] == ["image-0016", "image-0017"]
    assert maps[3].values is not None
    assert maps[3].values.tolist() == [[3, 3], [3, 3]]
    assert maps[0].overlay_png == png()


def test_a_baseline_with_the_bytes_of_the_candidate_is_compared_with_itself(
    client: Client, script: fakes.Script, model_file: Path, tmp_path: Path
) -> None:
    policy = tmp_path / "p.toml"
    policy.write_text(POLICY)

    client.gate(model_file, png(), policy=policy, baseline=model_file)

    request = script.calls["GateEvaluation"][0]
    assert request.WhichOneof("baseline") == "recorded_baseline"
    assert request.recorded_baseline.model == request.model
    assert request.recorded_baseline.image_results[0].scores
    assert not request.recorded_baseline.image_results[0].scores[0].curves


def test_another_model_as_baseline_is_evaluated_in_the_same_run(
    client: Client, script: fakes.Script, model_file: Path, policy_file: Path
) -> None:
    report = client.gate(model_file, png(), policy=policy_file, baseline=b"an older model")

    request = script.calls["GateEvaluation"][0]
    assert request.model == report.models[0].name
    assert request.baseline_model == report.models[1].name
    assert len(script.calls["CreateEvaluation"][0].spec.models) == 2
