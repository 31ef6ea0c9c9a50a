"""A shard of several models, each of which answers alone first, looks like one."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from heatproof.evaluators.errors import (
    HeatproofError,
    InvalidImageError,
    UnknownAnswerError,
    WorkerCrashedError,
)
from heatproof.server.workers.apart import ApartWorkers
from heatproof.server.workers.protocol import Done, Failed, Lane, Partial, Progress, Task, Workers
from heatproof.server.workers.shard_results import ShardTotals
from heatproof.server.workers.tasks import DescribeEnvironment, RunShard
from tests.server.workers.shards import shard

A, B = "models/sha256-aa", "models/sha256-bb"
QUERIES = {A: 10, B: 20}


@dataclass
class Asked(Workers):
    """Answers all queries of a model at once, the first with an image's row before the others.

    Attributes:
        known: models of which all is known.
        broken: what a model fails with that is asked alone.
        tasks: what has been run.
    """

    known: set[str] = field(default_factory=set)
    broken: dict[str, HeatproofError] = field(default_factory=dict)
    tasks: list[Task[Any, Any]] = field(default_factory=list)

    async def run(
        self,
        task: Task[Any, Any],
        *,
        lane: Lane = Lane.INTERACTIVE,  # noqa: ARG002  # the seam's signature
        seconds: float | None = None,  # noqa: ARG002  # likewise
    ) -> AsyncGenerator[Any, None]:
        self.tasks.append(task)
        if not isinstance(task, RunShard):
            yield Done({})
            return
        if len(task.models) == 1 and task.models[0].name in self.broken:
            yield Failed(self.broken[task.models[0].name])
            return
        done = known = 0
        for number, model in enumerate(one.name for one in task.models):
            if model in task.unasked and model not in self.known:
                yield Failed(UnknownAnswerError("", metadata={"model": model}))
                return
            done, known = done + QUERIES[model], known + QUERIES[model] * (model in self.known)
            yield Progress(model, done, number, known)
            yield Partial(number)
            self.known.add(model)
        yield Done(ShardTotals(done, (), 0.0, known))


async def told(workers: Asked, task: Task[Any, Any], lane: Lane = Lane.BULK) -> list[Any]:
    return [event async for event in ApartWorkers(workers).run(task, lane=lane)]


def run(workers: Asked) -> list[tuple[tuple[str, ...], frozenset[str]]]:
    """Models of the tasks that were run, and which of them were not to be asked."""
    tasks = [task for task in workers.tasks if isinstance(task, RunShard)]
    return [(task.spec.models, task.unasked) for task in tasks]


async def test_a_model_of_which_something_is_unknown_is_asked_alone_first() -> None:
    workers = Asked()
    *_, last = await told(workers, shard(A, B))
    both = (A, B)
    assert run(workers) == [
        (both, frozenset({A, B})),
        ((A,), frozenset()),
        (both, frozenset({B})),
        ((B,), frozenset()),
        (both, frozenset()),
    ]
    alone = [task.models for task in workers.tasks if isinstance(task, RunShard)][1::2]
    assert [[one.name for one in files] for files in alone] == [[A], [B]]
    assert replace(last.value, preparation_seconds=0.0) == ShardTotals(30, (), 0.0, 0)


async def test_what_is_known_is_read_once() -> None:
    workers = Asked(known={A, B})
    events = await told(workers, shard(A, B))
    assert run(workers) == [((A, B), frozenset({A, B}))]
    assert events[-1].value.known == events[-1].value.predictions == 30


async def test_only_what_was_known_before_counts_as_known() -> None:
    *_, last = await told(Asked(known={B}), shard(A, B))
    assert (last.value.predictions, last.value.known) == (30, 20)


async def test_attempts_look_like_one() -> None:
    events = await told(Asked(), shard(A, B))
    assert [event.value for event in events if isinstance(event, Partial)] == [0, 1]
    steps = [event for event in events if isinstance(event, Progress)]
    assert [step.predictions for step in steps] == sorted(step.predictions for step in steps)
    assert all(0 <= step.known <= step.predictions <= 30 for step in steps)
    assert [step.known for step in steps] == [0] * len(steps)
    assert len([event for event in events if isinstance(event, Done | Failed)]) == 1


async def test_what_fails_alone_fails_with_the_others() -> None:
    workers = Asked(broken={A: WorkerCrashedError("given up")})
    *_, last = await told(workers, shard(A, B))
    assert isinstance(last, Done)
    assert last.value.predictions == 30


@pytest.mark.parametrize(
    "error",
    [InvalidImageError("no image"), UnknownAnswerError("", metadata={"model": "models/x"})],
    ids=["of an image", "about a model that is not in the shard"],
)
async def test_a_failure_of_the_shard_is_its_end(error: HeatproofError) -> None:
    @dataclass
    class Failing(Asked):
        async def run(self, *_: Any, **__: Any) -> AsyncGenerator[Any, None]:
            yield Failed(error)

    assert await told(Failing(), shard(A, B)) == [Failed(error)]


@pytest.mark.parametrize(
    ("task", "lane"),
    [
        (shard(A), Lane.BULK),
        (shard(A, B, no_cache=True), Lane.BULK),
        (shard(A, B), Lane.INTERACTIVE),
        (DescribeEnvironment(), Lane.BULK),
    ],
    ids=["one model", "no cache", "somebody waits", "another task"],
)
async def test_everything_else_is_run_as_it_is(task: Task[Any, Any], lane: Lane) -> None:
    workers = Asked()
    await told(workers, task, lane)
    assert workers.tasks == [task]
