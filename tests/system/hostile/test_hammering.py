"""A server that is sent what it must refuse answers health meanwhile, and does not grow."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from heatproof.client.clients.connections.statuses import service_error
from tests.system.refusals import refused

PATIENCE_SECONDS = 5
"""Far above what health takes on an idle machine, far below the 20 s that it took unbounded."""
MODEL = b"models/sha256-" + 64 * b"0"
MIB = 1 << 20
OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]


@dataclass(frozen=True)
class Process:
    """A server in a process of its own, so that clients cannot hold it up."""

    address: str
    channel: grpc.Channel
    pid: int

    def health_seconds(self) -> float:
        start = time.monotonic()
        stub = health_pb2_grpc.HealthStub(self.channel)
        reply = stub.Check(health_pb2.HealthCheckRequest(), timeout=60)
        assert reply.status == health_pb2.HealthCheckResponse.SERVING
        return time.monotonic() - start


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One that lets in what only its own bounds can tell to be too much."""
    sizes = [f"--max-message-bytes={64 * MIB}", f"--message-memory-bytes={128 * MIB}"]
    with started(tmp_path_factory.mktemp("hammered"), sizes) as process:
        yield process


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Process]:
    """One as it comes."""
    with started(tmp_path, []) as process:
        yield process


@contextmanager
def started(data_dir: Path, sizes: list[str]) -> Iterator[Process]:
    command = [sys.executable, "-m", "heatproof.server", "--embedded", "--no-preload", *sizes]
    flags = ["--address", "127.0.0.1:0", "--data-dir", str(data_dir), "--log-level", "error"]
    pipe = subprocess.PIPE
    with subprocess.Popen([*command, *flags], stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            address = json.loads(process.stdout.readline())["address"]
            with grpc.insecure_channel(address, OPTIONS) as channel:
                yield Process(address, channel, process.pid)
        finally:
            process.kill()


def varint(value: int) -> bytes:
    groups = []
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])


def field(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


UNIT = field(1, b"unit")


def means() -> bytes:
    preprocessing = UNIT + field(8, bytes(8 * 7_000_000))
    rest = field(3, field(2, b"")) + field(4, field(1, b"image"))
    return field(1, MODEL) + field(2, preprocessing) + rest


def files() -> bytes:
    return field(1, 700_000 * field(2, field(1, b"w") + b"\x10\x01" + field(3, 64 * b"0")))


def metrics(count: int) -> bytes:
    spec = field(1, MODEL) + field(3, UNIT)
    return field(1, spec + count * field(4, field(1, b"")))


def parameters() -> bytes:
    entry = field(1, field(1, b"a") + field(2, b""))
    custom = field(15, field(1, b"x") + field(2, 5_000_000 * entry))
    return field(1, field(1, MODEL) + field(3, UNIT) + field(4, custom)) + field(2, b"image")


def unknown() -> bytes:
    return field(1, MODEL) + 20_000_000 * b"\xf8\x07\x01"


def scores() -> bytes:
    return field(1, b"n") + field(5, field(3, 15_000_000 * field(5, b"")))


HUGE: list[Any] = [
    ("ExplanationService/Explain", means, "preprocessing.mean"),
    ("ModelService/UploadModel", files, ""),
    ("EvaluationService/CreateEvaluation", lambda: metrics(500_000), ""),
    ("EvaluationService/CreateEvaluation", lambda: metrics(50_000), "spec.metrics"),
    ("EvaluationService/Evaluate", lambda: metrics(500_000), "spec.metrics"),
    ("EvaluationService/Evaluate", parameters, "spec.metrics[0].custom.parameters.fields"),
    ("MaskingService/Predict", unknown, ""),
    ("EvaluationService/GateEvaluation", scores, "recorded_baseline.image_results[0]"),
    ("ModelService/GetModel", lambda: field(1, bytes(60 * MIB)), ""),
    ("EvaluationService/WatchEvaluation", lambda: field(1, bytes(60 * MIB)), ""),
]


@pytest.mark.parametrize(("method", "request_bytes", "place"), HUGE)
def test_a_huge_request_is_refused_while_health_is_answered(
    server: Process, method: str, request_bytes: Callable[[], bytes], place: str
) -> None:
    with refused() as refusal:
        # On the wire a unary call is a stream of one message.
        call = server.channel.stream_unary(f"/heatproof.v1.{method}")
        future = call.future(iter([request_bytes()]), timeout=60)
        slowest = server.health_seconds()
        while not future.done():
            slowest = max(slowest, server.health_seconds())
        future.result()
    assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refusal.reason == "LIMIT_EXCEEDED"
    assert refusal.field.startswith(place)
    assert slowest < PATIENCE_SECONDS


def test_many_large_requests_at_once_are_put_off_and_take_little_memory(server: Process) -> None:
    # 24 of 60 MiB are 1.4 GiB before the first copy of any; without bounds it took 3.5 GiB.
    codes, grown = hammered(server, 60)
    assert codes <= {"NOT_FOUND", "RESOURCE_EXHAUSTED", "INVALID_ARGUMENT"}
    assert grown < 1300 * MIB


def test_a_server_as_it_comes_never_puts_a_message_together_that_no_method_takes(
    strict: Process,
) -> None:
    codes, grown = hammered(strict, 60)
    assert codes == {"RESOURCE_EXHAUSTED"}
    assert grown < 400 * MIB
    with pytest.raises(grpc.RpcError) as caught:
        strict.channel.unary_unary("/heatproof.v1.ModelService/GetModel")(bytes(60 * MIB))
    assert service_error(caught.value).reason == "LIMIT_EXCEEDED"  # as the SDK reads it


def hammered(server: Process, mebibytes: int) -> tuple[set[str], int]:
    """Codes of 24 large calls at a time, and the bytes that the server grew by."""
    data = field(1, MODEL) + field(2, UNIT) + field(3, field(1, bytes(mebibytes * MIB)))
    before = peak_bytes(server.pid)

    def send(_: int) -> str:
        with grpc.insecure_channel(server.address, OPTIONS) as channel:
            call = channel.unary_unary("/heatproof.v1.MaskingService/Predict")
            with pytest.raises(grpc.RpcError) as caught:
                call(data, timeout=120)
            return str(caught.value.code().name)

    with ThreadPoolExecutor(24) as pool:
        calls = [pool.submit(send, index) for index in range(24)]
        slowest = server.health_seconds()
        while not all(call.done() for call in calls):
            slowest = max(slowest, server.health_seconds())
    assert slowest < PATIENCE_SECONDS
    return {call.result() for call in calls}, peak_bytes(server.pid) - before


def peak_bytes(pid: int) -> int:
    """Largest resident memory so far."""
    assert psutil.pid_exists(pid)
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) << 10
