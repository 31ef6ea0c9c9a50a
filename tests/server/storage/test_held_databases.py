"""Databases that others lock or make read-only under a server."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from heatproof.evaluators.errors import OverloadedError, StorageFailedError
from heatproof.server.api.codec.evaluations import encode_evaluation
from heatproof.server.data_check import inspect_stores
from heatproof.server.evaluations.runs import persistence
from heatproof.server.evaluations.runs.persistence import Persistence
from heatproof.server.evaluations.store.records import State
from heatproof.server.resource_names import EvaluationName
from heatproof.server.storage import database
from tests.server.driving import scheduling, until
from tests.server.fakes import FakeWorkers
from tests.server.world import World, model_bytes, opened_world, store_model

SHORT = Persistence(patience_seconds=0.05, first_seconds=0.005, longest_seconds=0.01)
LONG = Persistence(patience_seconds=60.0, first_seconds=0.005, longest_seconds=0.01)
EXPECTED = (OverloadedError, StorageFailedError)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(database, "_BUSY_MILLISECONDS", 5)
    with opened_world(tmp_path / "data", reserve_bytes=0) as world:
        yield world


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another program writes, and takes its time."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def read_only(file: Path) -> Iterator[None]:
    """As an administrator freezes a database, for who opens it from then on."""
    real = sqlite3.dbapi2.connect

    def connect(*arguments: object, **options: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = real(*arguments, **options)  # type: ignore[call-overload] # as they come
        connection.execute("PRAGMA query_only=ON")
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3.dbapi2, "connect", connect)
        assert file.exists()
        yield


HARMS = [locked, read_only]


def harmed(
    world: World, harm: Callable[[Path], AbstractContextManager[None]]
) -> AbstractContextManager[None]:
    @contextmanager
    def harming() -> Iterator[None]:
        engine = world.stores.ownership.engine
        with harm(world.settings.data_dir / database.FILE):
            if harm is read_only:
                engine.dispose()
            yield
        if harm is read_only:
            engine.dispose()

    return harming()


@pytest.mark.parametrize("harm", HARMS)
def test_what_writes_is_refused_by_a_known_error(world: World, harm) -> None:
    new = world.new(3)
    with harmed(world, harm):
        for operation in (
            lambda: store_model(world.stores, model_bytes(3)),
            lambda: world.stores.evaluations.add(new),
        ):
            with pytest.raises(EXPECTED):
                operation()
    assert inspect_stores(world.stores.ownership).findings == ()
    assert store_model(world.stores, model_bytes(3))


@pytest.mark.parametrize("harm", HARMS)
async def test_a_running_evaluation_goes_on_when_the_database_can_be_written(
    world: World, harm, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []
    monkeypatch.setattr(persistence, "_note", lambda error, _: tries.append(error.reason))
    store, workers = world.stores.evaluations, FakeWorkers(held=asyncio.Event())
    stored = store.add(world.new(12))
    name = EvaluationName.parse(stored.name)
    async with scheduling(world, workers, persistence=LONG):
        await until(lambda: bool(workers.shards))
        with harmed(world, harm):
            workers.go()
            await until(lambda: len(tries) > 2)
        await until(lambda: store.get(name).state.is_final)
    assert store.get(name).state is State.SUCCEEDED


@pytest.mark.parametrize("harm", HARMS)
async def test_a_running_evaluation_ends_as_failed_when_its_patience_does(
    world: World, harm
) -> None:
    store, workers = world.stores.evaluations, FakeWorkers(held=asyncio.Event())
    stored = store.add(world.new(12))
    name = EvaluationName.parse(stored.name)
    async with scheduling(world, workers, persistence=SHORT) as scheduler:
        await until(lambda: bool(workers.shards))
        with harmed(world, harm):
            workers.go()
            await until(lambda: stored.name in scheduler._context.endings)
            told = scheduler._context.endings[stored.name]
            assert told.state is State.FAILED
        await until(lambda: store.get(name).state.is_final)
    found = store.get(name)
    assert found.state is State.FAILED
    assert "error id" not in encode_evaluation(found).error.message
    assert inspect_stores(world.stores.ownership).findings == ()
