"""Memory and processor time of an evaluation of thousands of results, by its number of images.

    python -m benchmarks.service.columns [--results 2000] [--points 29] [images ...]

Run in the root of the repository. Store, scheduler, worker processes, rows, columns and summaries
are the server's own; the scores and curves alone are made up, for they cost nothing then. Each
number of images has a process of its own, so that peaks are its own; shards and summaries have
different workers. Memory is the resident peak of a process, time its processor time.
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import psutil

from benchmarks.sections import Section, Table
from heatproof.evaluators.evaluation.column_blocks import written
from heatproof.evaluators.evaluation.plan import result_keys
from heatproof.evaluators.evaluation.results import (
    ClassProbability,
    CleanPrediction,
    ImageResult,
    ImageScore,
)
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.tabulation import Tabulation
from heatproof.evaluators.explainers import EXPLAINERS
from heatproof.evaluators.metrics import METRICS
from heatproof.evaluators.outcomes import Curve
from heatproof.evaluators.removal import REMOVALS
from heatproof.server.api.codec.evaluations import serialized_spec
from heatproof.server.api.codec.worker_documents import check_document
from heatproof.server.evaluations.store.records import NewEvaluation, State, StoredEvaluation
from heatproof.server.resource_names import EvaluationName
from heatproof.server.workers.execution.context import TaskContext
from heatproof.server.workers.inputs import StoredImage
from heatproof.server.workers.local.pool import PoolSettings, WorkerPool
from heatproof.server.workers.protocol import Event, Lane, Task, Workers
from heatproof.server.workers.shard_results import ShardTotals
from heatproof.server.workers.tasks import RunShard
from tests.server.driving import scheduling
from tests.server.world import World, opened_world, small_spec

IMAGES: Final = (125, 250, 500, 1000)


@dataclass(frozen=True, slots=True)
class MadeUpShard(RunShard):
    """A shard whose scores are made up.

    Attributes:
        points: of every curve.
    """

    executor: ClassVar[str] = "benchmarks.service.columns:make_up"

    points: int = 29


def make_up(task: MadeUpShard, context: TaskContext) -> ShardTotals:
    """Does what `run_shard` does, but for predictions."""
    tabulation = Tabulation(task.spec)
    for image in task.images:
        result = _result(task, image)
        context.emit(context.documents.image_row(result))
        tabulation.add(result)
        context.report(image.display_name)
    return ShardTotals(len(task.images), written(tabulation.columns()))


def _result(task: MadeUpShard, image: StoredImage) -> ImageResult:
    keys = result_keys(task.spec)
    values = np.random.default_rng(int(image.digest[:16], 16)).random((len(keys), task.points))
    fractions = tuple(np.linspace(0, 1, task.points).tolist())
    scores = tuple(
        ImageScore(
            index,
            float(row.mean()),
            {"n_zero_coverage": float(row[0] > 0.5)},
            {"deletion": Curve(fractions, tuple(row.tolist()))},
        )
        for index, row in enumerate(values)
    )
    answers = tuple(CleanPrediction(m, 1, (ClassProbability(1, 0.5),)) for m in task.spec.models)
    return ImageResult(image.digest, image.display_name, image.label, answers, scores)


class MadeUpWorkers(Workers):
    """Real workers that make scores up; summaries have a worker of their own."""

    def __init__(self, pool: WorkerPool, points: int) -> None:
        self._pool = pool
        self._points = points

    async def run(
        self, task: Task[Any, Any], *, lane: Lane = Lane.INTERACTIVE, seconds: float | None = None
    ) -> AsyncGenerator[Event[Any, Any]]:
        """Runs a task; shards wait in the bulk lane and all others in the interactive one."""
        own, lane = task, Lane.INTERACTIVE
        if isinstance(task, RunShard):
            own, lane = _made_up(task, self._points), Lane.BULK
        async with aclosing(self._pool.run(own, lane=lane, seconds=seconds)) as events:
            async for event in events:
                yield event


def _made_up(task: RunShard, points: int) -> MadeUpShard:
    known = {field.name: getattr(task, field.name) for field in fields(task)}
    return MadeUpShard(**known, points=points)


def spec_of(world: World, images: int, results: int) -> EvaluationSpec:
    """Deletion with cells of several sizes, four colors and many random maps."""
    colors = tuple(REMOVALS[name]() for name in ("black", "white", "grey", "mean"))
    metrics = tuple(METRICS["deletion"](grid=grid) for grid in range(6, 26))
    maps = results // (len(colors) * len(metrics))
    return replace(
        small_spec(world.model, world.dataset(images)),
        metrics=metrics,
        removals=colors,
        explainers=tuple(EXPLAINERS["random"](cells) for cells in range(2, 2 + maps)),
    )


async def measured(world: World, images: int, results: int, points: int) -> dict[str, float]:
    """Runs one evaluation to its end and tells what its processes took."""
    spec = spec_of(world, images, results)
    new = replace(
        world.new(1),
        spec=serialized_spec(spec),
        dataset=spec.dataset,
        images=images,
        predictions=images,
    )
    begun = time.process_time()
    async with WorkerPool(PoolSettings(threads=1, preload=False), check_document) as pool:
        await ended(world, MadeUpWorkers(pool, points), new, every=1)
        workers = dict(_workers())
    return {
        "images": images,
        "results": len(result_keys(spec)),
        "server MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "server s": time.process_time() - begun,
        **workers,
    }


async def ended(
    world: World, workers: MadeUpWorkers, new: NewEvaluation, *, every: float
) -> StoredEvaluation:
    """Runs an evaluation to its end, and looks for that every so many seconds."""
    store = world.stores.evaluations
    stored = store.add(new)
    async with scheduling(world, workers) as scheduler:
        scheduler.submit(stored)
        name = EvaluationName.parse(stored.name)
        while not (found := await asyncio.to_thread(store.get, name)).state.is_final:  # noqa: ASYNC110  # the store has no event
            await asyncio.sleep(every)
    if found.state is not State.SUCCEEDED:
        raise SystemExit(f"the evaluation is {found.state}: {found.error!r}")
    return found


def _workers() -> Iterator[tuple[str, float]]:
    own = psutil.Process().nice()
    for process in psutil.Process().children():
        kind = "shards" if process.nice() > own else "summary"
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        times = process.cpu_times()
        yield f"{kind} MB", int(peak.split()[1]) / 1024
        yield f"{kind} s", times.user + times.system


def section(*, quick: bool) -> Section:
    """Grows the number of images, and then the number of results."""
    sizes = ((20, 80),) if quick else ((1_000, 80), (10_000, 80), (1_000, 800))
    rows = [_row(images, results, 29) for images, results in sizes]
    return Section(
        "Memory",
        "An evaluation by images and results, each with a curve of 29 points, on made-up scores: "
        "store, scheduler, workers, columns and summaries are the server's own. Peak memory of a "
        "process in MB, its processor time in seconds; each row has processes of its own.",
        (
            Table(
                tuple(rows[0]),
                tuple(tuple(f"{value:,.0f}" for value in row.values()) for row in rows),
            ),
        ),
    )


def main() -> None:
    """Prints a table, a row for each number of images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", nargs="*", type=int, default=IMAGES)
    parser.add_argument("--results", type=int, default=2000)
    parser.add_argument("--points", type=int, default=29)
    options = parser.parse_args()
    for place, images in enumerate(options.images):
        row = _row(images, options.results, options.points)
        if not place:
            print("".join(f"{name:>12}" for name in row))
        print("".join(f"{value:12.1f}" for value in row.values()), flush=True)


def _row(images: int, results: int, points: int) -> dict[str, float]:
    call = f"from benchmarks.service.columns import here; here({images}, {results}, {points})"
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}  # the workers import this module
    command = [sys.executable, "-c", call]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    row: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return row


def here(images: int, results: int, points: int) -> None:
    """Measures one number of images in this process and prints it as JSON."""
    with tempfile.TemporaryDirectory() as folder, opened_world(Path(folder)) as world:
        print(json.dumps(asyncio.run(measured(world, images, results, points))))


if __name__ == "__main__":
    main()
