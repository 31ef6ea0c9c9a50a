"""What a server does with its stores in a life that may end at any call to them.

`python -m tests.system.durability.lives FOLDER DEATHS` lives once to the end, then as often as told
to a death while it uploads, and as often to one while it evaluates. The folder `AT` has the data of
the life that ended at that call, the file `AT.told` what was told.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from heatproof.evaluators.evaluation.engine import shards
from heatproof.server.evaluations.store.records import Ending, State
from heatproof.server.resource_names import DatasetName, EvaluationName
from tests.server.driving import scheduling, until
from tests.server.fakes import FakeWorkers
from tests.server.faults import Faults, install
from tests.server.world import World, opened_world, store_dataset

IMAGES = len(shards(1000)[0]) + 2
"""Of two shards."""
UNHURT = 1 << 30
VARYING = 4
"""Calls by which lives may differ: by which of two shards ends first."""


def live(data_dir: Path, at: int, tell: Callable[[str, str], None]) -> int:
    """Lives until the call `at`; tells what was acknowledged, and gives the calls made."""
    faults = Faults(at=at, deadly=True)
    install(faults, pytest.MonkeyPatch())
    with opened_world(data_dir, reserve_bytes=0) as world:
        tell("stored", world.model)
        spare = store_dataset(world.stores, range(50, 53))
        tell("stored", spare)
        store, new = world.stores.evaluations, world.new(IMAGES)
        tell("stored", new.dataset)
        tell("uploaded", str(len(faults.calls)))
        ended, running = store.add(new), store.add(new)
        for stored in ended, running:
            tell("stored", stored.name)
        store.end(ended, Ending(State.CANCELLED, b""))
        asyncio.run(_evaluate(world, EvaluationName.parse(running.name)))
        tell("succeeded", running.name)
        for name, delete in (
            (spare, lambda: world.stores.datasets.delete(DatasetName.parse(spare))),
            (ended.name, lambda: store.delete(EvaluationName.parse(ended.name))),
        ):
            tell("doomed", name)
            delete()
            tell("deleted", name)
    return len(faults.calls)


async def _evaluate(world: World, name: EvaluationName) -> None:
    async with scheduling(world, FakeWorkers()):
        await until(lambda: world.stores.evaluations.get(name).state.is_final)


def _live_apart(folder: Path, at: int) -> int:
    """Lives in a process of its own; gives how it ended."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with (folder / f"{at}.told").open("a") as file:

        def tell(what: str, name: str) -> None:
            file.write(json.dumps([what, name]) + "\n")
            file.flush()

        tell("calls", str(live(folder / str(at), at, tell)))
    os._exit(0)


def main(folder: Path, deaths: int) -> None:
    assert _live_apart(folder, UNHURT) == 0
    lines = (folder / f"{UNHURT}.told").read_text().splitlines()
    told = dict(json.loads(line) for line in lines)
    uploaded, calls = int(told["uploaded"]), int(told["calls"])
    assert uploaded > deaths < calls - uploaded, "no call was seen"
    for first, end in ((1, uploaded), (uploaded + 1, calls - VARYING)):
        for at in range(first, end + 1, (end - first) // deaths + 1):
            assert _live_apart(folder, at) == -9, "nobody was killed"


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
