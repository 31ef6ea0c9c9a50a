"""Servers that are killed in the middle of an evaluation."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import grpc
import psutil
import pytest

from heatproof.evaluators.evaluation.engine import shards
from heatproof.server.api.codec.evaluations import serialized_spec
from heatproof.v1 import evaluation_pb2, evaluation_service_pb2
from tests.server.world import opened_world, small_spec
from tests.system.durability import dying_server
from tests.system.durability.processes import (
    PATIENCE,
    SERVER,
    ServerProcess,
    server_process,
    stored_shards,
    wait_until,
)

SHARD = len(shards(1000)[0])
IMAGES = 3 * SHARD
SUCCEEDED, FAILED = (
    evaluation_pb2.Evaluation.STATE_SUCCEEDED,
    evaluation_pb2.Evaluation.STATE_FAILED,
)


@pytest.fixture
def spec(tmp_path: Path) -> evaluation_pb2.EvaluationSpec:
    """A spec over a stored model and data set that takes some seconds."""
    with opened_world(tmp_path / "data") as world:
        spec = small_spec(world.model, world.dataset(IMAGES), grid=4, steps=16)
        return evaluation_pb2.EvaluationSpec.FromString(serialized_spec(spec))


def create(server: ServerProcess, spec: evaluation_pb2.EvaluationSpec) -> str:
    request = evaluation_service_pb2.CreateEvaluationRequest(spec=spec)
    name: str = server.evaluations.CreateEvaluation(request).evaluation.name
    return name


def kill_in_the_middle(server: ServerProcess, name: str, images: int) -> None:
    """Kills a server once an evaluation has so many images."""
    wait_until(lambda: server.get(name).progress.images_done >= images)
    workers = server.workers()
    assert workers
    server.kill()
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert not alive, "workers outlive their server"


def test_a_killed_server_finishes_after_its_restart_with_the_same_scores(
    tmp_path: Path, spec: evaluation_pb2.EvaluationSpec
) -> None:
    data = tmp_path / "data"
    with server_process(data) as server:
        undisturbed = create(server, spec)
        expected = server.end(undisturbed)
        scores = server.image_results(undisturbed)
        name = create(server, spec)
        kill_in_the_middle(server, name, SHARD + 1)
    before = stored_shards(data)[3:]
    assert 0 < len(before) < 3, "the server was not killed in the middle"

    with server_process(data) as server:
        found = server.end(name)
        assert server.image_results(name) == scores
    assert stored_shards(data)[3 : 3 + len(before)] == before, "a stored shard was computed again"
    assert found.state == expected.state == SUCCEEDED
    assert found.results == expected.results
    assert found.progress == expected.progress
    assert len(scores) == IMAGES


def test_an_evaluation_that_was_running_at_two_deaths_has_failed(
    tmp_path: Path, spec: evaluation_pb2.EvaluationSpec
) -> None:
    data = tmp_path / "data"
    with server_process(data) as server:
        name = create(server, spec)
        kill_in_the_middle(server, name, SHARD)
    with server_process(data) as server:
        kill_in_the_middle(server, name, 2 * SHARD)

    with server_process(data) as server:
        found = server.end(name)
    assert found.state == FAILED
    assert "died twice" in found.error.message
    assert SHARD <= found.progress.images_done < IMAGES
    assert found.results[0].summary.scored == found.progress.images_done


CALLS = (2, 5, 8)
"""Of all calls to its storage that a server makes while it creates and evaluates; test_deaths.py
has all the others, without gRPC and workers."""


@pytest.mark.parametrize("at", CALLS)
def test_a_server_may_die_at_any_call_to_its_storage(
    tmp_path: Path, spec: evaluation_pb2.EvaluationSpec, at: int
) -> None:
    data, name = tmp_path / "data", ""
    dying = (sys.executable, "-m", dying_server.__name__, str(at))
    with server_process(data, program=dying) as server:
        with suppress(grpc.RpcError):
            name = create(server, spec)
        assert server.process.wait(PATIENCE) == -9
    with server_process(data) as server:
        request = evaluation_service_pb2.ListEvaluationsRequest()
        listed = server.evaluations.ListEvaluations(request).evaluations
        assert not name or [one.name for one in listed] == [name]
        for one in listed:
            found = server.end(one.name)
            assert found.state == SUCCEEDED
            assert len(server.image_results(one.name)) == IMAGES
    checked = subprocess.run(
        [*SERVER, "--check", f"--data-dir={data}"], check=False, capture_output=True
    )
    assert checked.returncode == 0, checked.stdout
