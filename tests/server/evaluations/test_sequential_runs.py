"""Sequential evaluations: where they stop, whichever shard is finished first, and over restarts."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from heatproof.evaluators.errors import InvalidImageError
from heatproof.evaluators.statistics.betting import Horizon, mean_limits
from heatproof.server.api.codec.evaluation_messages import decode_rules
from heatproof.server.api.codec.evaluations import encode_evaluation, read_spec
from heatproof.server.evaluations.gating.gates import Gates
from heatproof.server.evaluations.runs.agenda import by_units
from heatproof.server.evaluations.store.records import State, StoredEvaluation
from heatproof.server.evaluations.store.rules import Rules
from heatproof.server.resource_names import DatasetName, EvaluationName
from heatproof.server.workers.protocol import Task
from heatproof.server.workers.statistics_tasks import LookAt, RecordedEvaluation
from heatproof.server.workers.tasks import RunShard
from heatproof.v1 import evaluation_pb2, evaluation_service_pb2, gate_pb2, results_pb2
from tests.server.driving import scheduling, until
from tests.server.fakes import FakeWorkers
from tests.server.world import World

IMAGES = 160
DECIDED = {"min": 0.25}
UNDECIDED = {"min": 0.5}


def policy(**check: Any) -> gate_pb2.Policy:
    """Bounds the deletion of small_spec in pixel space, whose scores are spread over [0, 1]."""
    found = gate_pb2.Policy(sequential=True, min_images=10)
    found.explainers.add().saliency.SetInParent()
    found.removals.add().black.SetInParent()
    held = found.checks.add(**check)
    held.metric.deletion.grid, held.metric.deletion.steps = 4, 4
    held.removal.black.SetInParent()
    return found


def added(world: World, images: int = IMAGES, **check: Any) -> StoredEvaluation:
    asked = evaluation_service_pb2.CreateEvaluationRequest(policy=policy(**check))
    rules = decode_rules(asked)
    assert rules is not None
    new = world.new(images)
    return world.stores.evaluations.add(replace(new, rules=rules.document))


async def run(world: World, workers: FakeWorkers, stored: Any, parallel: int = 1) -> Any:
    async with scheduling(world, workers, parallel=parallel) as scheduler:
        scheduler.submit(stored)
        return await ended(world, stored)


async def ended(world: World, stored: StoredEvaluation) -> StoredEvaluation:
    name = EvaluationName.parse(stored.name)
    await until(lambda: world.stores.evaluations.get(name).state.is_final)
    return world.stores.evaluations.get(name)


def message_of(stored: StoredEvaluation) -> evaluation_pb2.Evaluation:
    return encode_evaluation(stored)


def rows_of(world: World, stored: StoredEvaluation) -> tuple[bytes, ...]:
    return world.stores.evaluations.all_image_rows(stored.number, "curves")


def agenda_of(world: World, stored: StoredEvaluation) -> Any:
    images = list(world.stores.datasets.all_images(DatasetName.parse(stored.dataset)))
    return by_units(images, range(len(images)), seed=read_spec(stored.spec).seed)


def expected_shards(world: World, stored: StoredEvaluation, least: float) -> int:
    """After how many shards the sequence of the images' scores first lies above the bound."""
    images = list(world.stores.datasets.all_images(DatasetName.parse(stored.dataset)))
    agenda = agenda_of(world, stored)
    scores = [int(image.digest[:8], 16) / 2**32 for image in images]
    order = sorted(range(len(images)), key=lambda place: rank(images[place].digest))
    for shard in agenda:
        units = shard.units
        if units >= 10:
            lower, _ = mean_limits(np.array(scores)[order[:units]], 0.025, Horizon.OPEN)
            if lower >= least - 1e-4:
                return int(shard.number) + 1
    return len(agenda)


def rank(digest: str) -> bytes:
    return hashlib.sha256(f"heatproof/0/image/{digest}".encode()).digest()


@dataclass
class Racing(FakeWorkers):
    """Holds one shard back until those that were begun beside it are finished.

    Attributes:
        slow: first image of the shard.
        others: images that are computed by then.
    """

    slow: int = 0
    others: int = 0

    async def run(self, task: Task[Any, Any], **options: Any) -> AsyncGenerator[Any, None]:
        if isinstance(task, RunShard) and task.positions[0] == self.slow:
            await until(lambda: len(self.computed) >= self.others)
        async for event in super().run(task, **options):
            yield event


@dataclass
class Counting(FakeWorkers):
    """Counts tasks by their kinds, and looks that read a record."""

    kinds: Counter[str] = field(default_factory=Counter)

    async def run(self, task: Task[Any, Any], **options: Any) -> AsyncGenerator[Any, None]:
        self.kinds[type(task).__name__] += 1
        if isinstance(task, LookAt) and isinstance(task.baseline, RecordedEvaluation):
            self.kinds["RecordedLook"] += 1
        async for event in super().run(task, **options):
            yield event


async def test_it_stops_at_the_first_look_that_decides(world: World) -> None:
    stored = added(world, **DECIDED)
    shards = expected_shards(world, stored, 0.25)
    agenda = agenda_of(world, stored)
    assert 2 < shards < len(agenda) - 2
    workers = FakeWorkers()
    found = await run(world, workers, stored)

    used = [place for shard in agenda[:shards] for place in shard.positions]
    assert (found.state, found.images_done) == (State.STOPPED, len(used))
    assert len(workers.computed) == len(used)
    images = list(world.stores.datasets.all_images(DatasetName.parse(stored.dataset)))
    assert list(map(digest_of, rows_of(world, found))) == [
        images[place].digest for place in sorted(used)
    ]
    message = message_of(found)
    assert message.state == evaluation_pb2.Evaluation.STATE_STOPPED
    assert (message.sequential.units, message.sequential.units_total) == (len(used), IMAGES)
    assert message.progress.predictions_total == message.progress.predictions_done
    summary = message.results[0].summary
    assert summary.scored == len(used)
    assert summary.interval.method == "confidence_sequence"
    assert not summary.HasField("standard_error")


def digest_of(row: bytes) -> str:
    return results_pb2.ImageResult.FromString(row).image


@pytest.mark.parametrize("before_the_last", [0, 1, 2, 4])
async def test_it_stops_there_whichever_shard_is_finished_first(
    world: World, before_the_last: int
) -> None:
    alone = await run(world, FakeWorkers(), added(world, **DECIDED))
    stored = added(world, **DECIDED)
    agenda = agenda_of(world, stored)
    slow = agenda[expected_shards(world, stored, 0.25) - 1 - before_the_last]
    beside = sum(len(shard.positions) for shard in agenda[: slow.number + 3])
    workers = Racing(slow=slow.positions[0], others=beside - len(slow.positions))
    raced = await run(world, workers, stored, parallel=3)
    assert (raced.state, raced.images_done) == (State.STOPPED, alone.images_done)
    assert raced.results == alone.results
    assert rows_of(world, raced) == rows_of(world, alone)


async def test_what_the_data_do_not_decide_takes_all_of_them(world: World) -> None:
    found = await run(world, FakeWorkers(), added(world, **UNDECIDED))
    assert (found.state, found.images_done) == (State.SUCCEEDED, IMAGES)
    message = message_of(found)
    assert (message.sequential.units, message.sequential.units_total) == (IMAGES, IMAGES)
    assert message.results[0].summary.HasField("standard_error")


async def test_nobody_looks_before_the_images_that_the_policy_asks_for(world: World) -> None:
    found = await run(world, FakeWorkers(), added(world, images=9, min=0.0))
    assert (found.state, found.images_done) == (State.SUCCEEDED, 9)


async def test_a_shard_that_was_not_needed_cannot_fail_it(world: World) -> None:
    stored = added(world, **DECIDED)
    shards = expected_shards(world, stored, 0.25)
    beyond = agenda_of(world, stored)[shards].positions[0]
    error = InvalidImageError("broken", field="images[0]")
    workers = FakeWorkers(error=error, failing=beyond)
    found = await run(world, workers, stored, parallel=2)
    assert workers.shards[beyond] == 1, "it was not begun, so it could not fail"
    assert found.state is State.STOPPED


async def test_a_shard_that_was_needed_fails_it(world: World) -> None:
    stored = added(world, **DECIDED)
    needed = agenda_of(world, stored)[1].positions[0]
    workers = FakeWorkers(error=InvalidImageError("broken"), failing=needed)
    found = await run(world, workers, stored, parallel=2)
    assert found.state is State.FAILED


async def test_a_new_server_goes_on_where_the_other_ended(world: World) -> None:
    undisturbed = await run(world, FakeWorkers(), added(world, **DECIDED))
    stored = added(world, **DECIDED)
    held = FakeWorkers(held=asyncio.Event(), held_after=20)
    async with scheduling(world, held) as scheduler:
        scheduler.submit(stored)
        await until(lambda: len(held.computed) == 20)
    workers = FakeWorkers()
    async with scheduling(world, workers):
        found = await ended(world, stored)
    assert found.results == undisturbed.results
    assert found.state is State.STOPPED
    assert len(workers.computed) == undisturbed.images_done - 16
    assert world.stores.evaluations.rules(found.number) == b""


async def test_what_was_decided_before_a_restart_is_not_computed_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = await run(world, FakeWorkers(), added(world, **DECIDED))
    stored, decided = added(world, **DECIDED), asyncio.Event()
    look = Gates.is_decided

    async def hang(self: Gates, *asked: Any) -> bool:
        if not await look(self, *asked):
            return False
        decided.set()
        return await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(Gates, "is_decided", hang)
        async with scheduling(world, FakeWorkers()) as scheduler:
            scheduler.submit(stored)
            await decided.wait()
    workers = FakeWorkers()
    async with scheduling(world, workers):
        found = await ended(world, stored)
    assert workers.computed == []
    assert (found.state, found.results) == (State.STOPPED, undisturbed.results)


async def test_cancelling_keeps_the_finished_images(world: World) -> None:
    workers = FakeWorkers(held=asyncio.Event(), held_after=20)
    stored = added(world, **DECIDED)
    async with scheduling(world, workers) as scheduler:
        scheduler.submit(stored)
        await until(lambda: len(workers.computed) == 20)
        await scheduler.cancel(EvaluationName.parse(stored.name))
        found = await ended(world, stored)
    assert (found.state, found.images_done) == (State.CANCELLED, 20)
    assert not message_of(found).HasField("sequential")


async def test_a_recorded_baseline_is_read_once_for_all_looks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    baseline = await run(world, FakeWorkers(), world.stores.evaluations.add(world.new(IMAGES)))
    asked = evaluation_service_pb2.CreateEvaluationRequest(
        policy=policy(max_regression=0.05),
        recorded_baseline=gate_pb2.Baseline(
            model=world.model,
            evaluation=message_of(baseline),
            image_results=map(results_pb2.ImageResult.FromString, rows_of(world, baseline)),
        ),
    )
    rules = decode_rules(asked)
    assert rules is not None

    async def judged(*, tabulated: bool) -> tuple[list[bool], Counter[str]]:
        """What each look says, and how often tasks were run."""
        with monkeypatch.context() as patched:
            look, said, workers = Gates.is_decided, list[bool](), Counting()

            async def noted(self: Gates, *held: Any) -> bool:
                said.append(await look(self, *held))
                return said[-1]

            async def as_it_is(_: Gates, held: Rules) -> Rules:
                return held

            patched.setattr(Gates, "is_decided", noted)
            if not tabulated:
                patched.setattr(Gates, "read_baseline", as_it_is)
            new = replace(world.new(IMAGES), rules=rules.document)
            await run(world, workers, world.stores.evaluations.add(new))
        return said, workers.kinds

    looks, kinds = await judged(tabulated=True)
    expected, parsed = await judged(tabulated=False)
    assert looks == expected
    assert looks[-1]
    assert not any(looks[:4])
    assert (kinds["TabulateRecord"], kinds["LookAt"]) == (1, len(looks))
    assert (parsed["TabulateRecord"], kinds["RecordedLook"]) == (0, 0)
    assert parsed["RecordedLook"] == len(looks)


async def test_a_look_that_cannot_be_taken_fails_it(world: World) -> None:
    kept = evaluation_service_pb2.CreateEvaluationRequest(
        policy=policy(max_regression=0.1), named_baseline="baselines/main@1"
    )
    rules = decode_rules(kept)
    assert rules is not None
    stored = world.stores.evaluations.add(replace(world.new(IMAGES), rules=rules.document))
    found = await run(world, FakeWorkers(), stored)
    assert found.state is State.FAILED
    assert "baselines/main" in message_of(found).error.message
