"""A server is killed at every call to its storage: what it has acknowledged is there, and whole."""

import asyncio
import hashlib
import json
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

from heatproof.evaluators.errors import NotFoundError
from heatproof.server.data_check import inspect_stores
from heatproof.server.evaluations.store.records import State
from heatproof.server.resource_names import DatasetName, EvaluationName, ModelName
from heatproof.server.settings import Settings
from heatproof.server.stores import Stores, opened_stores
from tests.server.driving import scheduling, until
from tests.server.fakes import FakeWorkers
from tests.server.world import World
from tests.system.durability import lives

DEATHS = 10
"""In each half of a life, spread over its calls."""


def has(stores: Stores, name: str) -> bool:
    with suppress(NotFoundError):
        match name.split("/", maxsplit=1)[0]:
            case "models":
                stores.models.get(ModelName.parse(name))
            case "datasets":
                stores.datasets.get(DatasetName.parse(name))
            case "evaluations":
                stores.evaluations.get(EvaluationName.parse(name))
        return True
    return False


def files_and_rows(data_dir: Path) -> tuple[set[str], set[str]]:
    """Digests of the files, by their bytes, and those that the database has."""
    files = [path for path in (data_dir / "blobs").rglob("*") if path.is_file()]
    with closing(sqlite3.connect(data_dir / "heatproof.sqlite")) as database:
        rows = {digest for (digest,) in database.execute("SELECT digest FROM files")}
        assert rows == {digest for (digest,) in database.execute("SELECT digest FROM blobs")}
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in files}, rows


async def resumed(world: World) -> None:
    """Brings every evaluation to its end."""
    store = world.stores.evaluations
    async with scheduling(world, FakeWorkers()):
        await until(lambda: not store.unfinished())


def check(data_dir: Path, told: list[tuple[str, str]]) -> list[State]:
    """Restarts a server; gives the ends of the evaluations that are there."""
    stored = {name for what, name in told if what == "stored"}
    doomed = {name for what, name in told if what == "doomed"}
    deleted = {name for what, name in told if what == "deleted"}
    succeeded = {name for what, name in told if what == "succeeded"}
    settings = Settings(data_dir=data_dir, reserve_bytes=0)
    with opened_stores(settings) as stores:
        assert inspect_stores(stores.ownership).findings == ()
        files, rows = files_and_rows(data_dir)
        assert files == rows
        assert {name for name in stored - doomed if not has(stores, name)} == set()
        assert {name for name in deleted if has(stores, name)} == set()
        asyncio.run(resumed(World(settings, stores, "")))
        ends = [name for name in sorted(stored - deleted) if name.startswith("evaluations/")]
        found = [
            stores.evaluations.get(EvaluationName.parse(name)) for name in ends if has(stores, name)
        ]
        for one in found:
            images = len(stores.evaluations.all_image_rows(one.number, "curves"))
            assert one.state is not State.SUCCEEDED or images == one.images_total
            assert one.state is State.SUCCEEDED or one.name not in succeeded
        assert inspect_stores(stores.ownership).findings == ()
    return [one.state for one in found]


def test_a_server_may_die_at_any_call_to_its_storage(tmp_path: Path) -> None:
    program = [sys.executable, "-m", lives.__name__]
    subprocess.run([*program, tmp_path, str(DEATHS)], check=True, timeout=300)
    ends: list[State] = []
    for record in tmp_path.glob("*.told"):
        told = [tuple(json.loads(line)) for line in record.read_text().splitlines()]
        ends += check(record.with_suffix(""), told)
    assert set(ends) == {State.SUCCEEDED, State.CANCELLED}
    assert len(ends) > DEATHS  # most deaths of the second half leave two
