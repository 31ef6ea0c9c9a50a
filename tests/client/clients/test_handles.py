import asyncio
from pathlib import Path
from typing import Any

import pytest

from heatproof.client import (
    AsyncClient,
    Client,
    ConnectionLostError,
    DeadlineExceededError,
    EvaluationCancelledError,
    EvaluationInterrupted,
    NotFoundError,
    Progress,
    Stage,
    UsageError,
)
from heatproof.v1.evaluation_pb2 import Evaluation
from tests.client import fakes
from tests.client.canned import png
from tests.client.clients.flows.test_evaluations import QUESTION


def interrupted(progress: Progress) -> None:
    if progress.stage is Stage.EVALUATE:
        raise KeyboardInterrupt


def test_a_name_is_all_that_another_client_needs(
    client: Client, address: str, model_file: Path, image_folder: Path
) -> None:
    submitted = client.submit(model_file, image_folder, **QUESTION)

    with Client.connect(address) as later:
        found = later.evaluation(submitted.name)
        report = found.result()

    assert [handle.name for handle in client.evaluations()] == [submitted.name]
    waited = client.evaluate(model_file, image_folder, **QUESTION)
    assert (report.evaluation, report.images) == (waited.evaluation, waited.images)
    assert report.models == waited.models
    assert (submitted.state, found.state) == ("queued", "succeeded")


def test_submitting_does_not_wait(client: Client, script: fakes.Script, model_file: Path) -> None:
    script.hangs = True
    handle = client.submit(model_file, png(), **QUESTION)

    assert not script.calls["WatchEvaluation"]
    assert repr(handle) == "<EvaluationHandle evaluations/e1: queued>"


def test_an_evaluation_on_an_event_loop_is_the_same(
    client: Client, address: str, model_file: Path, image_folder: Path
) -> None:
    async def asked() -> Any:
        async with AsyncClient.connect(address) as other:
            handle = await other.submit(model_file, image_folder, **QUESTION)
            (listed,) = await other.evaluations()
            found = await other.evaluation(listed.name)
            ended = await found.watch()
            return handle.name, ended.state, await found.result()

    name, state, report = asyncio.run(asked())

    assert state == Evaluation.STATE_SUCCEEDED
    assert report == client.evaluation(name).result()


def test_what_is_cancelled_keeps_its_finished_images(
    client: Client, script: fakes.Script, model_file: Path, image_folder: Path
) -> None:
    handle = client.submit(model_file, image_folder, **QUESTION)
    handle.cancel()
    script.state = Evaluation.STATE_CANCELLED

    assert handle.state == "cancelled"
    with pytest.raises(EvaluationCancelledError):
        handle.result()
    assert len(handle.result(partial=True).images) == 3


def test_what_is_deleted_is_found_no_more(
    client: Client, model_file: Path, image_folder: Path
) -> None:
    handle = client.submit(model_file, image_folder, **QUESTION)
    handle.delete()

    with pytest.raises(NotFoundError):
        client.evaluation(handle.name)
    assert client.evaluations() == ()


def test_another_name_is_told_from_that_of_an_evaluation(client: Client) -> None:
    with pytest.raises(UsageError, match="names no evaluation"):
        client.evaluation("models/sha256-00")


def test_a_report_outlives_its_models_and_images(
    client: Client, script: fakes.Script, model_file: Path, image_folder: Path
) -> None:
    handle = client.submit(model_file, image_folder, **QUESTION)
    (name,) = script.models
    script.models.clear()
    script.failures["GetDataset"] = [fakes.status("NOT_FOUND", "gone")]

    report = handle.result()

    assert [model.name for model in report.models] == [name]
    assert report.dataset.name.startswith("datasets/")


def test_ctrl_c_while_a_handle_waits_cancels_nothing(
    client: Client, script: fakes.Script, model_file: Path
) -> None:
    handle = client.submit(model_file, png(), **QUESTION)
    with pytest.raises(KeyboardInterrupt):
        handle.result(interrupted)
    assert not script.calls["CancelEvaluation"]


def test_ctrl_c_says_what_was_cancelled_and_how_to_get_what_is_kept(
    client: Client, script: fakes.Script, model_file: Path
) -> None:
    with pytest.raises(EvaluationInterrupted, match=r"evaluation\('evaluations/e1'\)") as caught:
        client.evaluate(model_file, png(), on_progress=interrupted, **QUESTION)
    assert caught.value.evaluation == "evaluations/e1"
    assert len(script.calls["CancelEvaluation"]) == 1


@pytest.mark.usefixtures("pauses")
def test_a_lost_server_leaves_the_evaluation_at_work_and_says_its_name(
    client: Client, script: fakes.Script, model_file: Path
) -> None:
    script.failures["WatchEvaluation"] = [fakes.status("UNAVAILABLE", "Socket closed")] * 6

    with pytest.raises(ConnectionLostError, match="closed the connection") as caught:
        client.evaluate(model_file, png(), **QUESTION)

    assert caught.value.evaluation == "evaluations/e1"
    assert not script.calls["CancelEvaluation"]
    assert client.evaluation(caught.value.evaluation).result().images


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_timeout_ends_a_wait_and_not_the_evaluation(
    address: str, script: fakes.Script, model_file: Path, asynchronous: bool
) -> None:
    script.hangs = True

    async def awaited() -> None:
        async with AsyncClient.connect(address) as other:
            handle = await other.submit(model_file, png(), **QUESTION)
            await handle.result(timeout=0.2)

    def waited() -> None:
        with Client.connect(address) as client:
            client.submit(model_file, png(), **QUESTION).result(timeout=0.2)

    with pytest.raises(DeadlineExceededError, match=r"timeout of 0\.2 s"):
        asyncio.run(awaited()) if asynchronous else waited()
    assert not script.calls["CancelEvaluation"]


def test_an_evaluation_that_is_waited_for_is_cancelled_when_its_time_is_up(
    client: Client, script: fakes.Script, model_file: Path
) -> None:
    script.hangs = True
    with pytest.raises(DeadlineExceededError):
        client.with_timeout(0.3).evaluate(model_file, png(), **QUESTION)
    assert len(script.calls["CancelEvaluation"]) == 1


def test_pauses_between_attempts_end_with_the_time_of_the_call(
    client: Client, script: fakes.Script
) -> None:
    script.failures["GetCatalog"] = [fakes.status("UNAVAILABLE", "restarting")] * 99
    with pytest.raises(DeadlineExceededError):
        client.with_timeout(0.3).catalog()


def test_an_estimate_creates_nothing(
    client: Client, script: fakes.Script, model_file: Path, image_folder: Path
) -> None:
    estimate = client.estimate(model_file, image_folder, **QUESTION)

    assert script.calls["CreateEvaluation"][0].validate_only
    assert client.evaluations() == ()
    assert (estimate.predictions, estimate.seconds, estimate.images) == (1234, 7.5, 3)
    assert list(estimate.to_pandas()["metric"]) == ["deletion", "insertion"]
    assert str(estimate) == (
        "2 results of 3 images: at most 1,234 predictions, about 8 s on this server"
    )


def test_what_an_evaluation_must_be_told_is_missed_by_name(
    client: Client, model_file: Path
) -> None:
    with pytest.raises(UsageError, match="submit\\(\\) needs the argument 'preprocessing'"):
        client.submit(model_file, png(), metrics=["deletion"])  # type: ignore[call-arg]
