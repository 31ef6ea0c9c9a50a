"""A real server on a file system that gets full, and whose database others hold."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import pytest

from heatproof.evaluators.evaluation.engine import shards
from heatproof.server.api.codec.evaluations import serialized_spec
from heatproof.v1 import evaluation_pb2, evaluation_service_pb2
from tests.server.world import opened_world, small_spec
from tests.system.durability.processes import SERVER, ServerProcess, server_process, wait_until

IMAGES = 3 * len(shards(1000)[0])
FAILED, SUCCEEDED = (
    evaluation_pb2.Evaluation.STATE_FAILED,
    evaluation_pb2.Evaluation.STATE_SUCCEEDED,
)
MOUNTED = 'mount -t tmpfs -o size=24m none "$1" && cp -r "$2/." "$1" && shift 2 && exec "$@"'
"""Runs a program in a world of its own, in which a folder is a small file system."""


def _can_mount(folder: Path) -> bool:
    command = ("unshare", "-Urm", "mount", "-t", "tmpfs", "none", str(folder))
    with suppress(OSError):
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    return False


@pytest.fixture
def spec(tmp_path: Path) -> evaluation_pb2.EvaluationSpec:
    """A spec over a model and a data set that are stored in the folder `prepared`."""
    with opened_world(tmp_path / "prepared", reserve_bytes=0) as world:
        spec = small_spec(world.model, world.dataset(IMAGES), grid=4, steps=16)
        return evaluation_pb2.EvaluationSpec.FromString(serialized_spec(spec))


@contextmanager
def on_small_disk(tmp_path: Path, log: Path, **options: str) -> Iterator[ServerProcess]:
    """A server on a copy of the folder `prepared`, in 24 MiB."""
    small = tmp_path / "small"
    small.mkdir()
    if not shutil.which("unshare") or not _can_mount(small):
        pytest.skip("this kernel lets nobody mount a file system in a user namespace")
    wrapper = ("unshare", "-Urm", "sh", "-c", MOUNTED, "sh", str(small), str(tmp_path / "prepared"))
    with server_process(small, program=(*wrapper, *SERVER), log=log, **options) as server:
        yield server


def seen(server: ServerProcess, folder: Path) -> Path:
    """A folder as the server sees it."""
    return Path(f"/proc/{server.process.pid}/root{folder}")


def fill(folder: Path) -> Path:
    """Leaves not a byte."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
    return ballast


def create(server: ServerProcess, spec: evaluation_pb2.EvaluationSpec) -> str:
    request = evaluation_service_pb2.CreateEvaluationRequest(spec=spec)
    name: str = server.evaluations.CreateEvaluation(request, timeout=60).evaluation.name
    return name


def create_for_ever(server: ServerProcess, spec: evaluation_pb2.EvaluationSpec) -> None:
    """Creates evaluations until the pages are used that the database has left."""
    while True:
        create(server, spec)


def test_a_watched_evaluation_ends_as_failed_on_a_full_disk(
    tmp_path: Path, spec: evaluation_pb2.EvaluationSpec
) -> None:
    with on_small_disk(tmp_path, tmp_path / "log", **{"storage-patience-seconds": "0.5"}) as server:
        name, other = create(server, spec), create(server, spec)
        request = evaluation_service_pb2.WatchEvaluationRequest(name=name)
        watch = server.evaluations.WatchEvaluation(request, timeout=60)
        next(watch)
        ballast = fill(seen(server, tmp_path / "small"))
        *_, last = watch
        assert last.state == FAILED
        assert server.end(other).state in {FAILED, SUCCEEDED}
        details = [detail for detail in last.error.details if b"STORAGE_FULL" in detail.value]
        assert details, last.error
        with pytest.raises(grpc.RpcError) as caught:
            create_for_ever(server, spec)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        delete = evaluation_service_pb2.DeleteEvaluationRequest(name=name)
        server.evaluations.DeleteEvaluation(delete, timeout=60)
        ballast.unlink()
        assert server.end(create(server, spec)).state == SUCCEEDED


def test_a_watched_evaluation_goes_on_when_there_is_space(
    tmp_path: Path, spec: evaluation_pb2.EvaluationSpec
) -> None:
    log = tmp_path / "log"
    with on_small_disk(tmp_path, log, **{"reserve-bytes": "0"}) as server:
        name = create(server, spec)
        request = evaluation_service_pb2.WatchEvaluationRequest(name=name)
        watch = server.evaluations.WatchEvaluation(request, timeout=60)
        next(watch)
        ballast = fill(seen(server, tmp_path / "small"))
        wait_until(lambda: b"storing is tried again" in log.read_bytes())
        ballast.unlink()
        *_, last = watch
        assert last.state == SUCCEEDED
        assert len(server.image_results(name)) == IMAGES
