"""What looking at a sequential evaluation takes, by its number of images.

    python -m benchmarks.service.looks [images ...]

Run in the root of the repository. Store, scheduler, worker processes, columns and looks are the
server's own; the scores alone are made up. A bound and a regression against a recorded baseline are
followed by confidence sequences, and a bound of a mean keeps the evaluation going to its end, so
that every look is taken.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from unittest import mock

from benchmarks.service.columns import MadeUpWorkers, ended
from heatproof.server.api.codec.evaluations import encode_evaluation
from heatproof.server.api.codec.worker_documents import check_document
from heatproof.server.evaluations.gating.gates import Gates
from heatproof.server.evaluations.store.records import StoredEvaluation
from heatproof.server.workers.local.pool import PoolSettings, WorkerPool
from heatproof.v1 import evaluation_service_pb2, gate_pb2, results_pb2
from tests.server.world import World, opened_world

IMAGES: Final = (1_250, 2_500, 5_000, 10_000)
POINTS: Final = 5
_EVERY: Final = 0.05
"""Seconds between two looks at whether an evaluation has ended."""


@dataclass
class Timed:
    """Seconds of the looks of an evaluation, and of reading its baseline."""

    looks: list[float] = field(default_factory=list)
    baseline: list[float] = field(default_factory=list)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Times what gates do."""
        calls = {"is_decided": self.looks, "read_baseline": self.baseline}
        with mock.patch.multiple(Gates, **{n: _timed(n, into) for n, into in calls.items()}):
            yield


def _timed(name: str, into: list[float]) -> Callable[..., Awaitable[object]]:
    call = getattr(Gates, name)

    async def timed(*asked: object) -> object:
        start = time.perf_counter()
        try:
            return await call(*asked)
        finally:
            into.append(time.perf_counter() - start)

    return timed


def policy() -> gate_pb2.Policy:
    """Two checks in sequence, and one that is decided at the end."""
    found = gate_pb2.Policy(sequential=True, min_images=30)
    found.explainers.add().saliency.SetInParent()
    for removal in ("black", "layer"):
        getattr(found.removals.add(), removal).SetInParent()
    for rule in ({"min": 0.5, "max_regression": 0.01}, {"min": 0.5, "on": "ON_MEAN"}):
        check = found.checks.add(**rule)
        check.metric.deletion.grid, check.metric.deletion.steps = 4, 4
        check.removal.black.SetInParent()
    return found


def recorded(world: World, stored: StoredEvaluation) -> gate_pb2.Baseline:
    """An ended evaluation as a client keeps it."""
    rows = world.stores.evaluations.all_image_rows(stored.number, "curves")
    return gate_pb2.Baseline(
        model=world.model,
        evaluation=encode_evaluation(stored),
        image_results=map(results_pb2.ImageResult.FromString, rows),
    )


async def measured(world: World, images: int) -> tuple[float, Timed]:
    """Runs an evaluation, and another one in sequence against it; seconds of the other one."""
    async with WorkerPool(PoolSettings(threads=1, preload=False), check_document) as pool:
        workers = MadeUpWorkers(pool, POINTS)
        first = await ended(world, workers, world.new(images), every=_EVERY)
        asked = evaluation_service_pb2.CreateEvaluationRequest(
            policy=policy(), recorded_baseline=recorded(world, first)
        )
        rules = asked.SerializeToString(deterministic=True)
        found, start = Timed(), time.perf_counter()
        with found.watched():
            await ended(world, workers, replace(world.new(images), rules=rules), every=_EVERY)
        return time.perf_counter() - start, found


def main() -> None:
    """Prints a row for each number of images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", nargs="*", type=int, default=IMAGES)
    print("images  looks  baseline s  looks s  ms an image  longest look ms  evaluation s")
    os.environ["PYTHONPATH"] = str(Path.cwd())  # the workers import this package
    for images in parser.parse_args().images:
        with tempfile.TemporaryDirectory() as folder, opened_world(Path(folder)) as world:
            whole, found = asyncio.run(measured(world, images))
        looks = sum(found.looks)
        print(
            f"{images:6} {len(found.looks):6} {sum(found.baseline):11.2f} {looks:8.2f} "
            f"{1e3 * looks / images:12.2f} {1e3 * max(found.looks):16.0f} {whole:13.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
