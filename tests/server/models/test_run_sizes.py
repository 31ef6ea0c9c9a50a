"""What was measured of runs is known to later tasks and servers, and goes with its model."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from heatproof.evaluators.errors import StorageFullError
from heatproof.server.models.run_size_store import MOST, RunSizeStore
from heatproof.server.models.run_sizes import RunSizeWorkers
from heatproof.server.resource_names import ModelName
from heatproof.server.workers.inputs import RunSize
from heatproof.server.workers.protocol import Done, Progress, Task
from heatproof.server.workers.shard_results import ShardTotals
from heatproof.server.workers.tasks import DescribeEnvironment
from tests.server.workers.scripted import ScriptedWorkers
from tests.server.workers.shards import shard
from tests.server.world import World, model_bytes, opened_world, store_model

KEY = "a" * 64
GONE = "models/sha256-" + "0" * 64


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with opened_world(tmp_path / "data") as world:
        yield world


async def told(
    store: RunSizeStore, task: Task[Any, Any], *measured: RunSize
) -> tuple[RunSize, ...]:
    """Runs a task that measures something; what it was told before."""
    said = [Progress("start"), Done(ShardTotals(0, (), run_sizes=measured))]
    workers = ScriptedWorkers(said)
    assert [event async for event in RunSizeWorkers(workers, store).run(task)] == said
    (run,) = workers.tasks
    found: tuple[RunSize, ...] = getattr(run, "run_sizes", ())
    return found


async def test_what_a_task_measures_the_next_one_is_told(world: World) -> None:
    store, task = world.stores.run_sizes, shard(world.model)
    other = store_model(world.stores, model_bytes(1))
    sizes = RunSize(world.model, KEY, 2), RunSize(world.model, "b" * 64, 4)
    assert await told(store, task, *sizes) == ()
    assert await told(store, task, RunSize(world.model, KEY, 1)) == sizes
    assert await told(store, task) == (RunSize(world.model, KEY, 1), sizes[1])
    assert await told(store, shard(other)) == ()
    assert await told(store, DescribeEnvironment()) == ()


async def test_a_worker_is_believed_about_the_models_of_its_task_alone(world: World) -> None:
    store, other = world.stores.run_sizes, store_model(world.stores, model_bytes(1))
    await told(store, shard(world.model), RunSize(other, KEY, 2))
    assert store.of([world.model, other]) == ()


def test_it_survives_a_restart(tmp_path: Path) -> None:
    with opened_world(tmp_path / "data") as world:
        size = RunSize(world.model, KEY, 4)
        world.stores.run_sizes.keep([size])
    with opened_world(tmp_path / "data") as world:
        assert world.stores.run_sizes.of([world.model]) == (size,)


def test_it_goes_with_its_model(world: World) -> None:
    store = world.stores.run_sizes
    store.keep([RunSize(world.model, KEY, 4), RunSize(GONE, KEY, 4)])
    assert [size.model for size in store.of([world.model, GONE])] == [world.model]
    world.stores.models.delete(ModelName.parse(world.model))
    assert store.of([world.model]) == ()


def test_no_model_fills_the_table(world: World) -> None:
    store = world.stores.run_sizes
    store.keep([RunSize(world.model, f"{number:064x}", 1) for number in range(MOST)])
    assert len(store.of([world.model])) == MOST
    newest = RunSize(world.model, KEY, 1)
    store.keep([newest])
    assert store.of([world.model]) == (newest,)


class Full(RunSizeStore):
    """Has no room."""

    def keep(self, sizes: object) -> None:
        raise StorageFullError(f"no room for {sizes}")


async def test_a_full_disk_fails_no_evaluation(world: World) -> None:
    store = Full(world.stores.ownership.engine)
    assert await told(store, shard(world.model), RunSize(world.model, KEY, 2)) == ()
