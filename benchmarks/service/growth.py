"""What the time of an evaluation grows with: images, steps, explainers, models, workers."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Final
from unittest import mock

import numpy as np

from benchmarks.networks import small
from benchmarks.sections import Section, Table
from benchmarks.service.uncached import UNCACHED
from heatproof.client import Client
from heatproof.graphs.files.saving import to_bytes

SIDE: Final = 64
GRID: Final = 14


@dataclass(frozen=True, slots=True)
class Size:
    """How large an evaluation is.

    Attributes:
        images: number of images.
        steps: of a deletion curve.
        explainers: number of explainers.
        models: number of models.
    """

    images: int = 16
    steps: int = 14
    explainers: int = 1
    models: int = 1


GROWN: Final[Mapping[str, Sequence[int]]] = {
    "images": (16, 32, 64, 128),
    "steps": (14, 49, 98, 196),
    "explainers": (1, 2, 4, 8),
    "models": (1, 2, 4, 8),
}
QUICK: Final[Mapping[str, Sequence[int]]] = {"images": (2, 4)}
WORKERS: Final = (1, 2)


def section(*, quick: bool) -> Section:
    """Grows one size after the other."""
    grown, rounds = (QUICK, 1) if quick else (GROWN, 3)
    with _server() as server:
        rows = [_row(server, name, values, rounds) for name, values in grown.items()]
    usual = ", ".join(f"{name} {value}" for name, value in asdict(Size()).items())
    parallel = [] if quick else [(workers, f"{_with_workers(workers):.2f}") for workers in WORKERS]
    return Section(
        "Growth",
        f"Deletion curves of random maps over gRPC, on noise of {SIDE} x {SIDE} pixels shown to a "
        "network of two convolutions, so that the service weighs most. One size grows and the "
        f"others stay at {usual}. The slope is that of the line of least squares; the deviation "
        "is the largest distance from it over the longest time.",
        (
            Table(
                ("grows", "from to", "shortest s", "longest s", "ms for one more", "deviation"),
                tuple(rows),
            ),
            "Worker processes that share the cores, on 128 images:",
            Table(("workers", "s"), tuple(parallel)),
        ),
    )


def _row(server: "_Server", name: str, values: Sequence[int], rounds: int) -> tuple[object, ...]:
    calls = {value: server.evaluation(replace(Size(), **{name: value})) for value in values}
    for call in calls.values():
        call()
    seconds = {value: min(_seconds(call) for _ in range(rounds)) for value, call in calls.items()}
    xs, ys = np.array(list(seconds)), np.array(list(seconds.values()))
    slope, start = np.polyfit(xs, ys, 1)
    deviation = np.abs(ys - (slope * xs + start)).max() / ys.max()
    return (
        name, f"{xs[0]} to {xs[-1]}", f"{ys.min():.2f}", f"{ys.max():.2f}",
        f"{slope * 1e3:.2f}", f"{deviation:.1%}",
    )  # fmt: skip


def _with_workers(workers: int) -> float:
    with _server(HEATPROOF_WORKERS=str(workers)) as server:
        call = server.evaluation(replace(Size(), images=128, steps=196))
        call()
        return min(_seconds(call) for _ in range(2))


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


class _Server:
    """A server with models and images of any number."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def evaluation(self, size: Size) -> Callable[[], object]:
        """Uploads what an evaluation needs; the call evaluates."""
        rng = np.random.default_rng(0)
        images = list(rng.integers(0, 256, (size.images, SIDE, SIDE, 3), np.uint8))
        dataset = self._client.upload_dataset(images).name
        models = [
            self._client.inspect(to_bytes(small(seed=seed))).name for seed in range(size.models)
        ]
        return lambda: self._client.evaluate(
            models,
            dataset,
            preprocessing="unit",
            metrics=[{"deletion": {"grid": GRID, "steps": size.steps}}],
            explainers=[{"random": {"grid": 2 + one}} for one in range(size.explainers)],
            removals=["black"],
            **UNCACHED,
        )


@contextmanager
def _server(**environment: str) -> Iterator[_Server]:
    with mock.patch.dict(os.environ, environment), Client.embedded() as client:
        yield _Server(client)
