"""Every write fails, each in turn: nothing acknowledged is lost, and nothing half done stays."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from heatproof.evaluators.errors import HeatproofError, StorageFailedError, StorageFullError
from heatproof.evaluators.evaluation.engine import shards
from heatproof.server.api.codec.evaluations import encode_evaluation
from heatproof.server.data_check import inspect_stores
from heatproof.server.evaluations.runs.persistence import Persistence
from heatproof.server.evaluations.runs.progress import ProgressBoard
from heatproof.server.evaluations.store.records import Ending, State
from heatproof.server.evaluations.watching import WatchIntervals, watch
from heatproof.server.resource_names import DatasetName, EvaluationName, ModelName
from heatproof.server.storage.pages import PageRequest
from tests.server.driving import scheduling, until
from tests.server.fakes import FakeWorkers
from tests.server.faults import BROKEN, FULL, Faults, install
from tests.server.world import World, model_bytes, opened_world, store_dataset, store_model

ERRORS = {FULL: StorageFullError, BROKEN: StorageFailedError}
QUICK = Persistence(patience_seconds=0.05, first_seconds=0.005, longest_seconds=0.01)
INTERVALS = WatchIntervals(shortest_seconds=0.01, longest_seconds=1.0)
MOST_CALLS = 200
SEVERAL = 2 * len(shards(1000)[0]) + 3


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    faults = Faults()
    install(faults, monkeypatch)
    return faults


@pytest.fixture
def faulty(faults: Faults, tmp_path: Path) -> Iterator[World]:
    """A world whose disk fails when it is told to; without the reserve, which would hide it."""
    assert not faults.at
    with opened_world(tmp_path / "data", reserve_bytes=0) as world:
        yield world


def store_another(world: World) -> str:
    return store_model(world.stores, model_bytes(9))


def store_pictures(world: World) -> str:
    return store_dataset(world.stores, range(50, 53))


def evaluation(world: World) -> EvaluationName:
    """An ended evaluation."""
    store = world.stores.evaluations
    stored = store.add(world.new(3))
    store.end(stored, Ending(State.CANCELLED, b""))
    return EvaluationName.parse(stored.name)


def uploading_a_model(world: World) -> Callable[[], object]:
    world.stores.models.delete(ModelName.parse(store_another(world)))
    return lambda: store_another(world)


def uploading_a_data_set(world: World) -> Callable[[], object]:
    world.stores.datasets.delete(DatasetName.parse(store_pictures(world)))
    return lambda: store_pictures(world)


def creating(world: World) -> Callable[[], object]:
    new = world.new(3)
    for stored in world.stores.evaluations.unfinished():
        world.stores.evaluations.end(stored, Ending(State.CANCELLED, b""))
    return lambda: world.stores.evaluations.add(new)


def deleting_a_model(world: World) -> Callable[[], object]:
    name = ModelName.parse(store_another(world))
    return lambda: world.stores.models.delete(name)


def deleting_a_data_set(world: World) -> Callable[[], object]:
    name = DatasetName.parse(store_pictures(world))
    return lambda: world.stores.datasets.delete(name)


def deleting_an_evaluation(world: World) -> Callable[[], object]:
    name = evaluation(world)
    return lambda: world.stores.evaluations.delete(name)


OPERATIONS = (
    uploading_a_model,
    uploading_a_data_set,
    creating,
    deleting_a_model,
    deleting_a_data_set,
    deleting_an_evaluation,
)


def faults_found(world: World) -> list[str]:
    """What is wrong on the disk, but files that the next start removes."""
    found = inspect_stores(world.stores.ownership).findings
    return [str(one) for one in found if "next start" not in one.way_out]


def orphans(world: World) -> list[str]:
    found = inspect_stores(world.stores.ownership).findings
    return [str(one) for one in found if "next start" in one.way_out]


@pytest.mark.parametrize("number", [FULL, BROKEN])
@pytest.mark.parametrize("prepared", OPERATIONS)
def test_every_write_of_an_operation_may_fail(
    faulty: World, faults: Faults, prepared: Callable[[World], Callable[[], object]], number: int
) -> None:
    kept = faulty.dataset(4)
    for at in range(1, MOST_CALLS):
        operation = prepared(faulty)
        with faults.failing(at, number):
            try:
                operation()
            except HeatproofError as error:
                assert type(error) is ERRORS[number]  # noqa: PT017 - it need not be raised
                assert not orphans(faulty)
                was_refused = True
            else:
                was_refused = False
            has_struck = faults.has_struck(at)
        assert faults_found(faulty) == []
        assert faulty.stores.datasets.get(DatasetName.parse(kept)).images == 4
        assert faulty.stores.models.find_sound(ModelName.parse(faulty.model)) is not None
        if was_refused:
            operation()  # what was refused can be tried again
            assert faults_found(faulty) == []
        if not has_struck:
            break
    assert at > 2, "no write was seen"
    assert not has_struck, "too many writes"
    faulty.stores.ownership.sweep()
    assert inspect_stores(faulty.stores.ownership).findings == ()


@pytest.mark.parametrize("number", [FULL, BROKEN])
async def test_every_write_of_a_run_may_fail_once(
    faulty: World, faults: Faults, number: int
) -> None:
    new = faulty.new(12)  # one shard
    for at in count(1):
        stored = faulty.stores.evaluations.add(new)
        name = EvaluationName.parse(stored.name)
        async with scheduling(faulty, FakeWorkers(), persistence=QUICK) as scheduler:
            with faults.failing(at, number):
                scheduler.submit(stored)
                await until(lambda: faulty.stores.evaluations.get(name).state.is_final)  # noqa: B023 - awaited at once
            has_struck = faults.has_struck(at)
        found = faulty.stores.evaluations.get(name)
        assert (found.state, found.images_done) == (State.SUCCEEDED, 12)
        assert faults_found(faulty) == []
        if not has_struck:
            break
    assert at > 4, "no write was seen"


@pytest.mark.parametrize("number", [FULL, BROKEN])
async def test_a_disk_that_stays_broken_fails_the_evaluation_in_memory_until_it_is_mended(
    faulty: World, faults: Faults, number: int
) -> None:
    new = faulty.new(SEVERAL)
    for at in range(3, 7):  # the first two take it into work
        board = ProgressBoard()
        async with scheduling(faulty, FakeWorkers(), board=board, persistence=QUICK) as scheduler:
            stored = faulty.stores.evaluations.add(new)
            name = EvaluationName.parse(stored.name)
            with faults.failing(at, number, lasting=True):
                scheduler.submit(stored)
                watched = [one async for one in watch(name, scheduler, board, INTERVALS)]
                listed = (await scheduler.page(PageRequest.parse(1, ""))).items[0]
                assert watched[-1].state is State.FAILED
                assert listed == watched[-1] == await scheduler.snapshot(name)
                assert encode_evaluation(listed).error.message
                assert faulty.stores.evaluations.get(name).state is State.RUNNING
                await scheduler.cancel(name)  # it has ended
                with pytest.raises(ERRORS[number]):
                    await scheduler.delete(name)
                faults.stop()
                await until(lambda: faulty.stores.evaluations.get(name).state.is_final)  # noqa: B023 - awaited at once
                assert (await scheduler.snapshot(name)).state is State.FAILED
        found = faulty.stores.evaluations.get(name)
        assert (found.state, found.error) == (State.FAILED, watched[-1].error)
        assert faults_found(faulty) == []


async def test_an_evaluation_in_the_queue_waits_for_the_disk(faulty: World, faults: Faults) -> None:
    async with scheduling(faulty, FakeWorkers(), persistence=QUICK) as scheduler:
        stored = faulty.stores.evaluations.add(faulty.new(3))
        name = EvaluationName.parse(stored.name)
        with faults.failing(1, FULL, lasting=True):
            scheduler.submit(stored)
            await until(lambda: len(faults.calls) > 12)
            assert (await scheduler.snapshot(name)).state is State.QUEUED
            faults.stop()
            await until(lambda: faulty.stores.evaluations.get(name).state.is_final)
    assert faulty.stores.evaluations.get(name).state is State.SUCCEEDED


async def test_what_has_ended_in_memory_can_be_deleted_as_soon_as_there_is_room(
    faulty: World, faults: Faults
) -> None:
    slow = Persistence(patience_seconds=0.01, first_seconds=60.0)
    async with scheduling(faulty, FakeWorkers(), persistence=slow) as scheduler:
        stored = faulty.stores.evaluations.add(faulty.new(3))
        name = EvaluationName.parse(stored.name)
        with faults.failing(3, FULL, lasting=True):
            scheduler.submit(stored)
            await until(lambda: stored.name in scheduler._context.endings)
            faults.stop()
            await scheduler.delete(name)
            assert faulty.stores.evaluations.page(PageRequest.parse(1, "")).items == ()
    assert faults_found(faulty) == []


async def test_a_server_that_ends_in_peace_stores_what_it_has_told(
    faulty: World, faults: Faults
) -> None:
    slow = Persistence(patience_seconds=0.01, first_seconds=60.0)
    async with scheduling(faulty, FakeWorkers(), persistence=slow) as scheduler:
        stored = faulty.stores.evaluations.add(faulty.new(3))
        name = EvaluationName.parse(stored.name)
        with faults.failing(3, FULL, lasting=True):
            scheduler.submit(stored)
            await until(lambda: stored.name in scheduler._context.endings)
            faults.stop()
    assert faulty.stores.evaluations.get(name).state is State.FAILED


async def test_a_defect_in_the_ending_cannot_kill_the_driver(
    faulty: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = faulty.stores.evaluations.add(faulty.new(3))
    name = EvaluationName.parse(stored.name)
    store, real, tries = faulty.stores.evaluations, faulty.stores.evaluations.end, iter(range(9))

    def end(*arguments: object) -> None:
        if next(tries) < 3:
            raise ZeroDivisionError
        real(*arguments)

    monkeypatch.setattr(store, "end", end)
    async with scheduling(faulty, FakeWorkers(), persistence=QUICK):
        await until(lambda: store.get(name).state.is_final)
    assert store.get(name).state is State.FAILED
    assert "error id" in encode_evaluation(store.get(name)).error.message
