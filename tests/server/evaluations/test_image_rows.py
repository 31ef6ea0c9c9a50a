"""Results of images are read in batches that are bounded in bytes, whatever each one holds."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatproof.server.evaluations.assembly import Evaluations
from heatproof.server.evaluations.store import row_batches
from heatproof.server.evaluations.store.records import ShardRows, StoredEvaluation
from heatproof.server.evaluations.store.row_batches import ROWS_AT_ONCE
from heatproof.server.resource_names import EvaluationName
from heatproof.server.workers.shard_results import ImageRow
from tests.server.world import World, opened_world

LARGE = 1 << 19
"""The bound of these tests, in bytes."""

MANY = 24


def row(size: int, mark: int) -> ImageRow:
    """A result of which each column holds as many bytes, of a value of its own."""
    return ImageRow(*(bytes([(mark + place) % 256]) * size for place in range(3)))


def added(world: World, sizes: list[int], *, shard_size: int = 7) -> StoredEvaluation:
    """An evaluation with results of so many bytes a column."""
    stored = world.stores.evaluations.add(world.new(1))
    for shard, first in enumerate(range(0, len(sizes), shard_size)):
        held = sizes[first : first + shard_size]
        rows = tuple(row(size, mark) for mark, size in enumerate(held, first))
        world.stores.evaluations.add_shard(
            stored.number, ShardRows(shard, range(first, first + len(rows)), rows, 1, 1.0)
        )
    return stored


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    path: Path = tmp_path_factory.mktemp("rows")
    with (
        pytest.MonkeyPatch.context() as patch,
        opened_world(path / "data", max_queued_evaluations=1000) as world,
    ):
        patch.setattr(row_batches, "BYTES_AT_ONCE", LARGE)
        yield world


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(
        st.sampled_from([0, 1, 900, LARGE // 3, LARGE - 1, LARGE, 2 * LARGE]), max_size=12
    ),
    columns=st.sampled_from([("basic",), ("curves", "overlays"), ("basic", "curves", "overlays")]),
)
def test_batches_hold_every_row_once_and_end_behind_the_bound(
    shared_world: World, sizes: list[int], columns: tuple[str, ...]
) -> None:
    store = shared_world.stores.evaluations
    number = added(shared_world, sizes).number
    found: list[tuple[int, bytes]] = []
    while batch := store.image_rows(number, columns, after=len(found) - 1):
        *others, last = (len(data) for _, data in batch)
        assert sum(others) < LARGE
        is_full = sum(others) + last >= LARGE
        assert is_full or len(found) + len(batch) == len(sizes)
        found += batch
    wanted = [row(size, mark) for mark, size in enumerate(sizes)]
    joined = [b"".join(getattr(one, column) for column in columns) for one in wanted]
    assert found == list(enumerate(joined))


def test_small_rows_come_many_at_once(shared_world: World) -> None:
    number = added(shared_world, [10] * (ROWS_AT_ONCE + 5), shard_size=40).number
    store = shared_world.stores.evaluations
    first = store.image_rows(number, ("basic",))
    rest = store.image_rows(number, ("basic",), after=ROWS_AT_ONCE - 1)
    assert (len(first), len(rest)) == (ROWS_AT_ONCE, 5)


def test_a_shard_is_read_without_its_neighbors(shared_world: World) -> None:
    sizes = [1, LARGE, 2, LARGE, 3, 4, 5]
    stored = added(shared_world, sizes, shard_size=3)
    rows = shared_world.stores.evaluations.all_image_rows(stored.number, "curves", shard=1)
    assert [len(data) for data in rows] == [LARGE, 3, 4]


async def test_a_list_of_large_results_holds_one_batch(shared_world: World) -> None:
    """What Python holds while a list is read: a few rows, as columns and joined."""
    stored = added(shared_world, [LARGE // 2] * MANY, shard_size=MANY)
    unused: dict[str, Any] = {part.name: None for part in fields(Evaluations)}
    evaluations = Evaluations(**unused | {"store": shared_world.stores.evaluations})
    name, lengths = EvaluationName.parse(stored.name), []
    tracemalloc.start()
    try:
        async for data in evaluations.image_rows(name, "curves", "overlays"):
            lengths.append(len(data))
            del data
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert lengths == [LARGE] * MANY
    assert peak < 6 * LARGE
