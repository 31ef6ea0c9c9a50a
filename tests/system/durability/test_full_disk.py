"""A real file system that is really full."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from heatproof.evaluators.errors import StorageFullError
from heatproof.server.data_check import inspect_stores
from heatproof.server.evaluations.retention import SteadyClock
from heatproof.server.evaluations.store.evaluation_store import EvaluationStore
from heatproof.server.evaluations.store.records import Ending, NewEvaluation, State
from heatproof.server.resource_names import DatasetName, EvaluationName
from tests.server.world import model_bytes, opened_world, store_model


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(tmp_path)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system takes a privileged user")
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def fill(folder: Path) -> Path:
    """Leaves not a byte."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
    return ballast


def create_for_ever(store: EvaluationStore, new: NewEvaluation) -> None:
    """Creates evaluations until the pages are used that the database has left."""
    while True:
        store.add(new)


def test_on_a_full_disk_nothing_comes_in_and_everything_can_be_deleted(small: Path) -> None:
    with opened_world(small / "data") as world:
        store = world.stores.evaluations
        new, kept = world.new(5), world.dataset(3, first=40)
        running = store.add(new)
        ballast = fill(small)
        with pytest.raises(StorageFullError):
            store_model(world.stores, model_bytes(3))
        with pytest.raises(StorageFullError):
            create_for_ever(store, new)
        assert store.begin_cancellation(running.name)
        store.end(running, Ending(State.CANCELLED, b""))
        store.delete(EvaluationName.parse(running.name))
        world.stores.datasets.delete(DatasetName.parse(kept))
        assert inspect_stores(world.stores.ownership).findings == ()
        ballast.unlink()
        assert store_model(world.stores, model_bytes(3))
    with opened_world(small / "data") as world:
        assert inspect_stores(world.stores.ownership).findings == ()


def test_a_server_starts_on_a_full_disk(small: Path) -> None:
    with opened_world(small / "data") as world:
        kept = DatasetName.parse(world.dataset(3))
    fill(small)
    with opened_world(small / "data") as world:
        world.stores.evaluations.count_deaths()
        world.stores.datasets.delete(kept)


def test_a_clock_that_leaps_deletes_nothing_for_a_day() -> None:
    start, day = datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=1)
    wall, elapsed = start, timedelta(0)
    clock = SteadyClock(lambda: wall, lambda: elapsed)
    assert clock.now() == start
    wall, elapsed = start + day, day
    assert clock.now() == wall
    wall, elapsed = wall + 3650 * day, elapsed + timedelta(hours=1)
    assert clock.now() is None
    wall, elapsed = wall + timedelta(hours=23), elapsed + timedelta(hours=23)
    assert clock.now() is None
    wall, elapsed = wall + timedelta(hours=1), elapsed + timedelta(hours=1)
    assert clock.now() == wall
