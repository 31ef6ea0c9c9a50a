"""A worker is believed about the models and images of its task alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from heatproof.server.answers.answer_store import AnswerStore
from heatproof.server.answers.folders import AnswerPlace, cohort_of
from heatproof.server.workers.inputs import (
    AnswerGrant,
)
from heatproof.server.workers.keeping import KeepingWorkers
from heatproof.server.workers.protocol import Done, Lane, NewAnswers, Progress, Task
from heatproof.server.workers.tasks import DescribeEnvironment, RunShard
from tests.server.workers.scripted import ScriptedWorkers
from tests.server.workers.shards import IMAGE, shard

MODELS = ("models/sha256-aa", "models/sha256-bb")
STRANGE = "2" * 64
CONTEXT = "c" * 64
FOUND = NewAnswers(MODELS[0], CONTEXT, IMAGE, b"answers")


async def told(
    store: AnswerStore, found: list[NewAnswers], task: Task[Any, Any], lane: Lane = Lane.BULK
) -> AnswerGrant | None:
    """Runs a task that hands answers over; what it was granted."""
    workers = ScriptedWorkers([Progress("start"), *found, Done(None)])
    events = [event async for event in KeepingWorkers(workers, store).run(task, lane=lane)]
    assert events == [Progress("start"), Done(None)]
    (run,) = workers.tasks
    return run.answers if isinstance(run, RunShard) else None


def held(store: AnswerStore) -> list[tuple[str, ...]]:
    root = store.root / "models"
    return [path.relative_to(root).parts[:-1] for path in sorted(root.rglob("*.answers"))]


@pytest.fixture
def store(tmp_path: Path) -> AnswerStore:
    return AnswerStore(tmp_path, 1 << 20)


async def test_answers_lie_below_model_cohort_context_and_image(store: AnswerStore) -> None:
    grant = await told(store, [FOUND], shard(*MODELS))
    assert grant == AnswerGrant(tuple(sorted(map(cohort_of, [MODELS[:1], MODELS[1:]]))), keeps=True)
    assert held(store) == [("sha256-aa", cohort_of(MODELS), CONTEXT, IMAGE)]
    later = await told(store, [], shard(*MODELS))
    assert later is not None
    assert cohort_of(MODELS) in later.cohorts


@pytest.mark.parametrize(
    "lie",
    [
        replace(FOUND, model="models/sha256-cc"),
        replace(FOUND, image=STRANGE),
        replace(FOUND, context="../" * 10),
        replace(FOUND, damaged=("../x",)),
    ],
    ids=["another model", "another image", "a path for a digest", "a path for a name"],
)
async def test_what_is_not_about_the_task_is_not_kept(store: AnswerStore, lie: NewAnswers) -> None:
    await told(store, [lie], shard(MODELS[0]))
    assert held(store) == []


async def test_who_is_waited_for_reads_and_keeps_nothing(store: AnswerStore) -> None:
    grant = await told(store, [FOUND], shard(MODELS[0]), Lane.INTERACTIVE)
    assert grant == AnswerGrant((cohort_of(MODELS[:1]),), keeps=False)
    assert held(store) == []


@pytest.mark.parametrize("task", [shard(MODELS[0], no_cache=True), DescribeEnvironment()])
async def test_others_are_granted_and_believed_nothing(
    store: AnswerStore, task: Task[Any, Any]
) -> None:
    assert await told(store, [FOUND], task) is None
    assert held(store) == []


async def test_damaged_files_go_whatever_cohort_they_are_of(store: AnswerStore) -> None:
    await told(store, [FOUND], shard(*MODELS))
    await told(store, [FOUND], shard(MODELS[0]))
    assert len(held(store)) == 2
    names = tuple(path.stem for path in store.root.rglob("*.answers"))
    await told(store, [replace(FOUND, data=b"", damaged=names)], shard(*MODELS))
    assert held(store) == []


async def test_use_is_noted(store: AnswerStore) -> None:
    await told(store, [FOUND], shard(MODELS[0]))
    place = AnswerPlace(MODELS[0], cohort_of(MODELS[:1]), CONTEXT, IMAGE).within(store.root)
    before = place.stat().st_mtime_ns
    await told(store, [replace(FOUND, data=b"")], shard(MODELS[0]))
    assert place.stat().st_mtime_ns > before
    assert len(held(store)) == 1
