"""How late health answers, and how large the server grows, while it is sent what it must refuse.

    python -m benchmarks.service.health [--seconds 8] [attack ...]

Each attack runs in a process of its own and repeats until its time is over; this process asks for
health every 20 ms meanwhile. Memory is the resident peak of the server process alone.
"""

import argparse
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Final

import grpc
import psutil
from grpc_health.v1 import health_pb2, health_pb2_grpc

_PACKAGE: Final = "/heatproof.v1."
_MODEL: Final = b"models/sha256-" + 64 * b"0"
_SPAWN: Final = multiprocessing.get_context("spawn")
_OPTIONS: Final = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


@dataclass(frozen=True)
class Attack:
    """Calls that are made over and over.

    Attributes:
        method: of the service, after the package.
        request: makes the bytes of the request.
        streams: whether the method takes a stream, of which this is the first message.
        clients: calls at a time.
    """

    method: str
    request: Callable[[], bytes]
    streams: bool = False
    clients: int = 1


def field(number: int, value: bytes) -> bytes:
    """A length-delimited field on the wire."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    """A number on the wire."""
    groups = []
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])


def means() -> bytes:
    """An explanation whose preprocessing has 7 million means."""
    preprocessing = field(1, b"unit") + field(8, bytes(8 * 7_000_000))
    rest = field(3, field(2, b"")) + field(4, field(1, b"image"))
    return field(1, _MODEL) + field(2, preprocessing) + rest


def header() -> bytes:
    """The header of an upload of 700,000 files."""
    file = field(2, field(1, b"w.bin") + b"\x10\x01" + field(3, 64 * b"0"))
    return field(1, 700_000 * file)


def metrics() -> bytes:
    """A specification of 500,000 metrics."""
    preprocessing = field(3, field(1, b"unit"))
    return field(1, field(1, _MODEL) + preprocessing + 500_000 * field(4, field(1, b"")))


def image(mebibytes: int) -> bytes:
    """A prediction of an image of so many bytes."""
    content = field(1, bytes(mebibytes << 20))
    return field(1, _MODEL) + field(2, field(1, b"unit")) + field(3, content)


def name(mebibytes: int) -> bytes:
    """A name of so many bytes."""
    return field(1, bytes(mebibytes << 20))


ATTACKS: Final[Mapping[str, Attack]] = {
    "nothing": Attack("CatalogService/GetCatalog", bytes),
    "7,000,000 means": Attack("ExplanationService/Explain", means),
    "700,000 files": Attack("ModelService/UploadModel", header, streams=True),
    "500,000 metrics": Attack("EvaluationService/CreateEvaluation", metrics),
    "24 images of 60 MiB": Attack("MaskingService/Predict", partial(image, 60), clients=24),
    "24 names of 60 MiB": Attack("ModelService/GetModel", partial(name, 60), clients=24),
    "24 images of 15 MiB": Attack("MaskingService/Predict", partial(image, 15), clients=24),
    "24 names of 15 MiB": Attack("ModelService/GetModel", partial(name, 15), clients=24),
}


def attack(kind: str, address: str, seconds: float, answers: Connection) -> None:
    """Repeats an attack until its time is over, and reports how often each code came back."""
    plan, until = ATTACKS[kind], time.monotonic() + seconds
    request = plan.request()
    with ThreadPoolExecutor(plan.clients) as pool:
        parts = [pool.submit(_repeat, plan, request, address, until) for _ in range(plan.clients)]
    answers.send(sum((part.result() for part in parts), Counter()))


def _repeat(plan: Attack, request: bytes, address: str, until: float) -> Counter[str]:
    codes: Counter[str] = Counter()
    with grpc.insecure_channel(address, [*_OPTIONS, ("grpc.use_local_subchannel_pool", 1)]) as to:
        kind = to.stream_unary if plan.streams else to.unary_unary
        call = kind(_PACKAGE + plan.method)
        while time.monotonic() < until:
            try:
                call(iter([request]) if plan.streams else request, timeout=60)
                codes["OK"] += 1
            except grpc.RpcError as error:
                codes[error.code().name] += 1
            time.sleep(0.05)
    return codes


@contextmanager
def server() -> Iterator[tuple[str, psutil.Process]]:
    """A server process on a free port."""
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--embedded", "--address=127.0.0.1:0", "--threads=1", f"--data-dir={folder}"]
        command = [sys.executable, "-m", "heatproof.server", *flags, "--log-level=warning"]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
            assert process.stdout is not None  # noqa: S101  # a pipe was asked for
            address = json.loads(process.stdout.readline())["address"]
            yield address, psutil.Process(process.pid)
            process.terminate()


def delays(address: str, answers: Connection) -> list[float]:
    """Seconds until each probe is answered while the attack lasts, 60 for one that never is."""
    found = []
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        stub.Check(health_pb2.HealthCheckRequest(), timeout=60)
        while not answers.poll(0.02):
            start = time.perf_counter()
            try:
                stub.Check(health_pb2.HealthCheckRequest(), timeout=60)
                found.append(time.perf_counter() - start)
            except grpc.RpcError:
                found.append(60.0)
    return found


def measure(kind: str, seconds: float) -> None:
    """Prints one row of the table."""
    with server() as (address, process):
        ours, theirs = _SPAWN.Pipe()
        hammer = _SPAWN.Process(target=attack, args=(kind, address, seconds, theirs))
        before = peak(process)
        hammer.start()
        found = sorted(delays(address, ours))
        codes = ours.recv()
        hammer.join()
        grown = peak(process) - before
    median, late = statistics.median(found), found[int(0.99 * (len(found) - 1))]
    shown = " ".join(f"{code} {count}" for code, count in codes.most_common())
    print(
        f"| {kind} | {1e3 * median:.1f} | {1e3 * late:.0f} | {1e3 * found[-1]:.0f} | "
        f"{grown / 2**20:.0f} | {shown} |",
        flush=True,
    )


def peak(process: psutil.Process) -> int:
    """Largest resident memory of a process so far, in bytes."""
    with open(f"/proc/{process.pid}/status") as status:  # noqa: PTH123  # not a file of a folder
        line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10


def main() -> None:
    """Measures each attack on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("attacks", nargs="*", default=list(ATTACKS))
    arguments = parser.parse_args()
    print("| sent | median ms | 99 % ms | slowest ms | memory grown MiB | answers |")
    print("|---|---|---|---|---|---|")
    for kind in arguments.attacks:
        measure(kind, arguments.seconds)


if __name__ == "__main__":
    main()
