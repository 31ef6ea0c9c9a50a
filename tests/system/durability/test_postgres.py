"""The stores on PostgreSQL: the same promises as on a file."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import MetaData, create_engine, insert, make_url, select, text

from heatproof.evaluators.errors import (
    ConflictError,
    FailedPreconditionError,
    NotFoundError,
    ResourceInUseError,
    StorageFailedError,
)
from heatproof.evaluators.evaluation.engine import shards
from heatproof.server.data_check import inspect_stores
from heatproof.server.evaluations.runs.persistence import Persistence
from heatproof.server.evaluations.store import evaluation_store
from heatproof.server.evaluations.store.records import Ending, State
from heatproof.server.resource_names import BaselineName, DatasetName, EvaluationName, ModelName
from heatproof.server.settings import Settings
from heatproof.server.storage import locks
from heatproof.server.storage.migrations.versions import r0001_tables_of_version_0_1
from heatproof.server.storage.pages import PageRequest
from heatproof.server.storage.schema import metadata
from heatproof.server.stores import opened_stores
from tests.server.driving import scheduling, until
from tests.server.evaluations.baseline_world import change_to, ended
from tests.server.fakes import FakeWorkers
from tests.server.storage.directories import ENDED, version_0_1
from tests.server.world import World, opened_world
from tests.system.durability import postgres

PROGRAMS = postgres.programs()
pytestmark = pytest.mark.skipif(
    PROGRAMS is None, reason="PostgreSQL is not installed: apt-get install postgresql"
)
REQUEST_ID = "12345678-1234-1234-1234-123456789abc"
SEVERAL = 2 * len(shards(1000)[0]) + 5


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    assert PROGRAMS is not None
    with postgres.cluster(PROGRAMS) as url:
        yield url


@contextmanager
def asking(url: str) -> Iterator[psycopg.Connection]:
    """A connection beside the server's."""
    parts = make_url(url)
    with psycopg.connect(
        host=str(parts.query["host"]), user=parts.username, dbname=parts.database, autocommit=True
    ) as connection:
        yield connection


@pytest.fixture
def url(cluster: str) -> Iterator[str]:
    """An empty database."""
    with asking(cluster) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return cluster


@pytest.fixture
def world(url: str, tmp_path: Path) -> Iterator[World]:
    with opened_world(tmp_path / "data", database_url=url) as world:
        yield world


async def test_an_evaluation_runs_to_its_end(world: World) -> None:
    before = datetime.now(UTC)
    stored = world.stores.evaluations.add(world.new(SEVERAL))
    name = EvaluationName.parse(stored.name)
    async with scheduling(world, FakeWorkers()):
        await until(lambda: world.stores.evaluations.get(name).state.is_final)
    found = world.stores.evaluations.get(name)
    assert (found.state, found.images_done) == (State.SUCCEEDED, SEVERAL)
    assert found.end_time is not None
    # The sessions of this cluster live in another zone than UTC.
    assert before <= found.create_time <= found.end_time <= datetime.now(UTC)
    assert found.create_time.utcoffset() == timedelta(0)
    assert len(world.stores.evaluations.all_image_rows(found.number, "curves")) == SEVERAL
    assert inspect_stores(world.stores.ownership).findings == ()


def test_models_and_data_sets_are_claimed_listed_and_deleted(world: World) -> None:
    stored = world.stores.evaluations.add(world.new(3, request_id=REQUEST_ID))
    assert world.stores.evaluations.add(world.new(3, request_id=REQUEST_ID)) == stored
    with pytest.raises(ConflictError):
        world.stores.evaluations.add(world.new(3, request_id=REQUEST_ID, seed=1))
    dataset, model = DatasetName.parse(stored.dataset), ModelName.parse(world.model)
    with pytest.raises(ResourceInUseError):
        world.stores.datasets.delete(dataset)
    assert len(tuple(world.stores.datasets.all_images(dataset))) == 3
    assert len(world.stores.models.page(PageRequest.parse(5, "")).items) == 1
    assert world.stores.evaluations.begin_cancellation(stored.name)
    with pytest.raises(FailedPreconditionError):
        world.stores.evaluations.delete(EvaluationName.parse(stored.name))
    assert world.stores.evaluations.experiences((world.model,)) == ()
    for one in world.stores.evaluations.unfinished():
        world.stores.evaluations.end(one, Ending(State.CANCELLED, b""))
    world.stores.datasets.delete(dataset)
    world.stores.models.delete(model)
    with pytest.raises(NotFoundError):
        world.stores.models.get(model)
    assert not list((world.settings.data_dir / "blobs").glob("*/*"))


def test_baselines_are_set_kept_and_guarded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stores, main = world.stores, BaselineName("main")
    first, second = ended(world, seed=1), ended(world, seed=2)
    stores.baselines.set(main, change_to(world, first))

    def update(place: int) -> bool:
        try:
            stores.baselines.set(main, change_to(world, second, f"{place}"), expected=1)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(update, range(4))) == 1
    history = stores.baselines.history(main, PageRequest.parse(0, "")).items
    assert [held.revision for held in history] == [2, 1]
    name = EvaluationName.parse(second.name)
    with pytest.raises(ResourceInUseError, match="baselines/main"):
        stores.evaluations.delete(name)
    with monkeypatch.context() as patch:
        patch.setattr(evaluation_store, "refuse_if_held", lambda *_: None)
        with pytest.raises(ResourceInUseError, match="a baseline"):
            stores.evaluations.delete(name)
    stores.evaluations.delete_ended_before(datetime.now(UTC) + timedelta(days=1))
    found = stores.baselines.history(main, PageRequest.parse(0, "")).items
    assert [held.stored for held in found] == [True, False]
    with pytest.raises(NotFoundError, match="deleted meanwhile"):
        stores.baselines.set(main, change_to(world, first))
    assert inspect_stores(stores.ownership).findings == ()
    stores.baselines.delete(main)
    stores.evaluations.delete(name)


def test_a_killed_server_counts_as_a_death(world: World) -> None:
    stored = world.stores.evaluations.add(world.new(3))
    assert world.stores.evaluations.begin(stored.name)
    assert world.stores.evaluations.count_deaths() == ()
    assert world.stores.evaluations.begin(stored.name)
    assert world.stores.evaluations.count_deaths() == (stored.name,)


def test_what_was_stored_is_there_after_a_restart(url: str, tmp_path: Path) -> None:
    with opened_world(tmp_path / "data", database_url=url) as world:
        dataset = world.dataset(3)
    with opened_world(tmp_path / "data", database_url=url) as world:
        assert world.stores.datasets.get(DatasetName.parse(dataset)).images == 3
        assert inspect_stores(world.stores.ownership).findings == ()


def test_whoever_comes_next_need_not_wait_for_the_end_of_a_session(url: str) -> None:
    engine = create_engine(url)
    for _ in range(30):
        with locks.locked_database(engine):
            pass
    engine.dispose()


def test_a_database_has_one_server(world: World, url: str, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "second", database_url=url)
    with pytest.raises(FailedPreconditionError, match="another server"), opened_stores(settings):
        pass
    assert world.dataset(2)


def test_an_emptied_database_beside_files_is_refused(url: str, tmp_path: Path) -> None:
    with opened_world(tmp_path / "data", database_url=url):
        pass
    with asking(url) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    settings = Settings(data_dir=tmp_path / "data", database_url=url)
    with pytest.raises(FailedPreconditionError, match="--adopt"), opened_stores(settings):
        pass
    assert len(list((tmp_path / "data" / "blobs").glob("*/*"))) == 1


def test_another_data_directory_is_refused(url: str, tmp_path: Path) -> None:
    with opened_world(tmp_path / "data", database_url=url):
        pass
    settings = Settings(data_dir=tmp_path / "second", database_url=url)
    with (
        pytest.raises(FailedPreconditionError, match="another data directory"),
        opened_stores(settings),
    ):
        pass


def end_sessions(url: str) -> None:
    """What a restart of PostgreSQL or an administrator does to every session."""
    with asking(url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )


async def test_a_lost_connection_is_borne(world: World, url: str) -> None:
    store = world.stores.evaluations
    patient = Persistence(first_seconds=0.05)
    workers = FakeWorkers()
    async with scheduling(world, workers, persistence=patient) as scheduler:
        stored = store.add(world.new(SEVERAL))
        end_sessions(url)
        scheduler.submit(stored)

        def has_ended() -> bool:
            try:
                return store.get(EvaluationName.parse(stored.name)).state.is_final
            except StorageFailedError:  # until the lock is held again
                return False

        await until(has_ended)
    assert store.get(EvaluationName.parse(stored.name)).state is State.SUCCEEDED


async def test_a_server_whose_lock_another_one_holds_touches_nothing(
    world: World, url: str
) -> None:
    key = "hashtext('heatproof ' || current_schema())"
    with asking(url) as thief:
        thief.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks "
            "WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
        )
        thief.execute(f"SELECT pg_advisory_lock({key})")

        def is_refused() -> bool:
            try:
                world.stores.models.page(PageRequest.parse(5, ""))
            except StorageFailedError:
                return True
            return False

        await until(is_refused)
    await until(lambda: not is_refused())
    assert world.stores.models.get(ModelName.parse(world.model))


KEY = "hashtext('heatproof ' || current_schema())"


async def test_a_server_ends_when_another_one_has_held_its_database(
    world: World, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[bool] = []
    monkeypatch.setattr(locks, "_give_up", lambda: ended.append(True))
    with asking(url) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks "
            "WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
        )
        other.execute(f"SELECT pg_advisory_lock({KEY})")
        other.execute("UPDATE holder SET token = 'of another server'")
    await until(lambda: bool(ended))
    with pytest.raises(StorageFailedError):  # until its end it touches nothing
        world.stores.models.page(PageRequest.parse(5, ""))


def test_a_database_of_version_0_1_is_migrated(url: str, tmp_path: Path) -> None:
    """The rows of a SQLite file of that version, in the tables of that version."""
    data_dir = version_0_1(tmp_path / "data")
    file, engine = create_engine(f"sqlite:///{data_dir / 'heatproof.sqlite'}"), create_engine(url)
    with file.connect() as old, engine.begin() as new:
        with Operations.context(MigrationContext.configure(new)):
            r0001_tables_of_version_0_1.upgrade()
        tables = MetaData()
        tables.reflect(old)
        for table in tables.sorted_tables:
            if rows := [dict(row) for row in old.execute(select(table)).mappings()]:
                new.execute(insert(table), rows)
    engine.dispose()
    file.dispose()
    settings = Settings(data_dir=data_dir, database_url=url, address="127.0.0.1:0")
    for _ in range(2):
        with opened_stores(settings) as stores:
            ended = stores.evaluations.get(EvaluationName.parse(ENDED))
            assert ended.state is State.SUCCEEDED
            assert len(stores.evaluations.all_image_rows(ended.number, "curves")) == 3
            assert inspect_stores(stores.ownership).findings == ()
            with stores.ownership.engine.connect() as connection:
                assert connection.scalar(text("SELECT version FROM schema_version")) == 2


def test_the_tables_are_those_that_the_code_declares(url: str, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", database_url=url, address="127.0.0.1:0")
    with opened_stores(settings) as stores, stores.ownership.engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), metadata)
    assert [change for change in found if change[1].name != "holder"] == []
