"""Real servers as processes of their own, which tests may kill."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import psutil

from heatproof.v1 import evaluation_pb2, evaluation_service_pb2, evaluation_service_pb2_grpc

PATIENCE = 60.0


@dataclass(frozen=True)
class ServerProcess:
    """A server and its client."""

    process: subprocess.Popen[bytes]
    channel: grpc.Channel
    address: str

    @property
    def evaluations(self) -> Any:
        return evaluation_service_pb2_grpc.EvaluationServiceStub(self.channel)

    def get(self, name: str) -> evaluation_pb2.Evaluation:
        request = evaluation_service_pb2.GetEvaluationRequest(name=name)
        found: evaluation_pb2.Evaluation = self.evaluations.GetEvaluation(request, timeout=PATIENCE)
        return found

    def end(self, name: str) -> evaluation_pb2.Evaluation:
        """Waits for the end of an evaluation."""
        request = evaluation_service_pb2.WatchEvaluationRequest(name=name)
        *_, last = self.evaluations.WatchEvaluation(request, timeout=PATIENCE)
        assert isinstance(last, evaluation_pb2.Evaluation)
        return last

    def image_results(self, name: str) -> list[bytes]:
        request = evaluation_service_pb2.ListImageResultsRequest(name=name, view="VIEW_FULL")
        results = self.evaluations.ListImageResults(request, timeout=PATIENCE)
        return [result.SerializeToString(deterministic=True) for result in results]

    def workers(self) -> list[psutil.Process]:
        """The worker processes."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def kill(self) -> None:
        """Kills the server as nothing can be caught."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE)


SERVER = (sys.executable, "-m", "heatproof.server")


@contextmanager
def server_process(
    data_dir: Path, *, program: Sequence[str] = SERVER, log: Path | None = None, **options: str
) -> Iterator[ServerProcess]:
    """Starts a server on a data directory.

    Args:
        data_dir: the data directory.
        program: what is started with the options of a server.
        log: where its log goes.
        options: further ones.
    """
    settings = {"data-dir": str(data_dir), "address": "127.0.0.1:0", "threads": "1", **options}
    flags = [f"--{name}={value}" for name, value in settings.items()]
    with nullcontext() if log is None else log.open("wb") as errors:
        process = subprocess.Popen(
            [*program, "--embedded", *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "HEATPROOF_PRELOAD": "false"},
        )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        try:
            address = json.loads(process.stdout.readline())["address"]
            with grpc.insecure_channel(address) as channel:
                yield ServerProcess(process, channel, address)
        finally:
            process.kill()
            process.wait(PATIENCE)


def wait_until(claim: Callable[[], bool]) -> None:
    """Waits until a claim holds."""
    deadline = time.monotonic() + PATIENCE
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def stored_shards(data_dir: Path) -> list[tuple[int, float]]:
    """Numbers and durations of the shards in the database of a dead server."""
    with closing(sqlite3.connect(data_dir / "heatproof.sqlite")) as database:
        return database.execute(
            "select shard, seconds from shards order by evaluation, shard"
        ).fetchall()
