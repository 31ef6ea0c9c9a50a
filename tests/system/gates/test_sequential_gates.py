"""Sequential gates on real servers: where they stop, and what they are held against."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

from heatproof.client import Client
from heatproof.client.documents.results import GateReport
from heatproof.client.errors import FailedPreconditionError, HeatproofError, InvalidArgumentError
from heatproof.v1 import evaluation_service_pb2 as pb
from heatproof.v1 import evaluation_service_pb2_grpc
from heatproof.v1.evaluation_pb2 import Evaluation
from heatproof.v1.gate_pb2 import CheckResult, Verdict
from tests.server.world import model_bytes, png
from tests.system.serving import Served

IMAGES, LEAST = 96, 10
DELETION = {"deletion": {"grid": 4, "steps": 4}}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures, a network and one of other weights."""
    folder = tmp_path_factory.mktemp("sequential")
    (folder / "images").mkdir()
    for seed in range(IMAGES):
        (folder / "images" / f"{seed:03}.png").write_bytes(png(seed))
    (folder / "model.onnx").write_bytes(model_bytes())
    (folder / "other.onnx").write_bytes(model_bytes(1))
    return folder


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[Client]:
    with Client.connect(served.address) as client:
        yield client


def policy(*checks: dict[str, Any], sequential: bool = True, **rest: Any) -> dict[str, Any]:
    """Rules for the deletion curve, which is about 0.73 on every picture."""
    return {
        "explainers": ["saliency"],
        "removals": ["black"],
        "model": {"preprocessing": {"preset": "unit"}},
        "checks": [{"metric": DELETION, **check} for check in checks],
        "min_images": LEAST,
        "sequential": sequential,
        **rest,
    }


def gate(client: Client, files: Path, *checks: Any, **rest: Any) -> GateReport:
    question = {name: rest.pop(name) for name in ("baseline", "on_progress") if name in rest}
    rules = policy(*checks, **rest)
    return client.gate(files / "model.onnx", files / "images", policy=rules, **question)


def outcomes(report: GateReport) -> list[str]:
    return [CheckResult.Outcome.Name(one.outcome)[8:] for one in report.verdict.checks]


def test_a_clear_gate_stops_early(client: Client, files: Path) -> None:
    report = gate(client, files, {"min": 0.2}, {"max": 0.95})
    used = report.verdict.sequential.units
    assert report.evaluation.state == Evaluation.STATE_STOPPED
    assert LEAST <= used <= IMAGES // 2
    assert report.verdict.sequential.units_total == IMAGES
    assert outcomes(report) == ["PASS", "PASS"]
    assert all(check.sequential for check in report.verdict.checks)
    assert len(report.images) == report.evaluation.progress.images_done == used
    assert report.evaluation.results[0].summary.scored == used
    again = gate(client, files, {"min": 0.2}, {"max": 0.95})
    assert again.images == report.images
    assert again.verdict == report.verdict


def test_a_close_gate_takes_all_images_and_stays_undecided(client: Client, files: Path) -> None:
    report = gate(client, files, {"min": 0.72})
    assert report.evaluation.state == Evaluation.STATE_SUCCEEDED
    assert (report.verdict.sequential.units, len(report.images)) == (IMAGES, IMAGES)
    assert outcomes(report) == ["INCONCLUSIVE"]
    assert report.verdict.outcome == Verdict.OUTCOME_FAIL


def test_a_check_of_all_units_keeps_it_from_stopping(client: Client, files: Path) -> None:
    rules = policy({"min": 0.2}, {"min": 0.7, "on": "mean"})
    planned = client.estimate_gate(files / "model.onnx", files / "images", policy=rules)
    assert list(planned.evaluation.checks_at_the_end) == [1]
    report = gate(client, files, {"min": 0.2}, {"min": 0.7, "on": "mean"})
    assert report.evaluation.state == Evaluation.STATE_SUCCEEDED
    assert outcomes(report) == ["PASS", "PASS"]
    assert [check.sequential for check in report.verdict.checks] == [True, False]


def test_a_policy_that_could_never_stop_is_refused(client: Client, files: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="none of its checks can be decided before"):
        gate(client, files, {"min": 0.7, "on": "mean"})


@pytest.fixture(scope="module")
def recorded(client: Client, files: Path) -> GateReport:
    """A gate of all images, to be a baseline."""
    return gate(client, files, {"min": 0.2}, sequential=False)


def test_regressions_are_looked_at_too(
    client: Client, files: Path, recorded: GateReport, tmp_path: Path
) -> None:
    """The same, held against a report, a baseline by name, and a model of the same bytes."""
    recorded.save(tmp_path / "report.json")
    client.set_baseline("baselines/sequential", recorded)
    check = {"max_regression": 0.6}
    sources = (tmp_path / "report.json", "baselines/sequential", files / "model.onnx")
    found = [gate(client, files, check, baseline=source) for source in sources]
    for report in found:
        assert report.evaluation.state == Evaluation.STATE_STOPPED
        assert outcomes(report) == ["PASS"]
    assert len({report.verdict.sequential.units for report in found}) == 1
    assert len({str(report.verdict.checks[0].regression) for report in found}) == 1


def test_a_baseline_of_the_same_run_is_looked_at(client: Client, files: Path) -> None:
    report = gate(client, files, {"max_regression": 0.0}, baseline=files / "other.onnx")
    turned = client.gate(
        files / "other.onnx",
        files / "images",
        policy=policy({"max_regression": 0.0}),
        baseline=files / "model.onnx",
    )
    assert sorted(outcomes(report) + outcomes(turned)) in (
        ["FAIL", "INCONCLUSIVE"],
        ["FAIL", "PASS"],
    )
    worse = report if outcomes(report) == ["FAIL"] else turned
    assert worse.evaluation.state == Evaluation.STATE_STOPPED
    assert {len(result.models) for result in worse.evaluation.results} == {1}


@pytest.fixture(scope="module")
def stopped(client: Client, files: Path) -> GateReport:
    return gate(client, files, {"min": 0.2})


def test_what_stopped_is_judged_again_by_sequences_alone(
    client: Client, stopped: GateReport
) -> None:
    name = stopped.evaluation.name
    again = client.gate_evaluation(name, policy=policy({"min": 0.1}, {"max": 0.99}))
    assert outcomes(again) == ["PASS", "PASS"]
    assert again.verdict.sequential == stopped.verdict.sequential
    with pytest.raises(FailedPreconditionError, match="for a fixed number of units"):
        client.gate_evaluation(name, policy=policy({"min": 0.1}, sequential=False))
    with pytest.raises(FailedPreconditionError, match="needs all of them"):
        client.gate_evaluation(name, policy=policy({"min": 0.1}, {"min": 0.1, "on": "mean"}))


def test_what_stopped_is_no_baseline_and_compares_nothing(
    client: Client, files: Path, stopped: GateReport, tmp_path: Path
) -> None:
    stopped.save(tmp_path / "stopped.json")
    with pytest.raises(FailedPreconditionError, match="stopped early"):
        gate(client, files, {"max_regression": 0.6}, baseline=tmp_path / "stopped.json")
    with pytest.raises(FailedPreconditionError, match="only an evaluation that has succeeded"):
        client.set_baseline("baselines/stopped", stopped)
    with pytest.raises(HeatproofError, match="only an evaluation that has succeeded"):
        client.compare_models(stopped)


def test_a_killed_worker_changes_nothing(
    served_with: Callable[..., AbstractContextManager[Served]], files: Path
) -> None:
    before = set(psutil.Process().children(recursive=True))
    killed: list[int] = []

    def kill(served: Served) -> None:
        stub = evaluation_service_pb2_grpc.EvaluationServiceStub(served.channel)
        while not killed:
            page = stub.ListEvaluations(pb.ListEvaluationsRequest()).evaluations
            if any(one.progress.predictions_done for one in page):
                for worker in set(psutil.Process().children(recursive=True)) - before:
                    killed.append(worker.pid)
                    worker.kill()

    slow = {"metric": {"deletion": {"grid": 8, "steps": 64}}, "min": 0.2}
    with served_with(workers=2) as served, Client.connect(served.address) as client:
        killer = threading.Thread(target=kill, args=(served,), daemon=True)
        killer.start()
        disturbed = gate(client, files, slow, min_images=64)
        killer.join(10)
        undisturbed = gate(client, files, slow, min_images=64)
    assert killed
    assert disturbed.evaluation.state == Evaluation.STATE_STOPPED
    assert disturbed.verdict == undisturbed.verdict
    assert disturbed.images == undisturbed.images


def test_a_baseline_model_is_one_of_the_evaluation(served: Served, stopped: GateReport) -> None:
    stub = evaluation_service_pb2_grpc.EvaluationServiceStub(served.channel)
    request = pb.CreateEvaluationRequest(
        spec=stopped.evaluation.spec, policy=stopped.policy, baseline_model="models/none"
    )
    with pytest.raises(grpc.RpcError) as caught:
        stub.CreateEvaluation(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    request.named_baseline = "baselines/none@1"
    with pytest.raises(grpc.RpcError, match="is set too"):
        stub.CreateEvaluation(request)
