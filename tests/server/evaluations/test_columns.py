"""Summaries of stored evaluations come from columns, wherever these come from."""

import asyncio
import math
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest
from sqlalchemy import delete, update

from heatproof.evaluators.errors import FailedPreconditionError
from heatproof.evaluators.evaluation.column_blocks import VERSION
from heatproof.server.api.codec.evaluations import encode_evaluation, serialized_spec
from heatproof.server.evaluations.columns import IMAGES, EvaluationColumns, StoredShards, summarized
from heatproof.server.evaluations.store.records import NewEvaluation, State, StoredEvaluation
from heatproof.server.evaluations.store.tables import score_columns
from heatproof.server.resource_names import EvaluationName
from heatproof.server.workers.protocol import Lane
from heatproof.server.workers.statistics_tasks import TabulateRows
from heatproof.v1.evaluation_pb2 import Evaluation
from heatproof.v1.results_pb2 import ImageResult
from tests.server.driving import scheduling, until
from tests.server.fakes import FakeWorkers
from tests.server.world import PREDICTIONS_PER_IMAGE, World, small_spec, store_dataset

SHARD = 32
RESULTS = 2


@dataclass
class CountingWorkers(FakeWorkers):
    """Counts what is made of rows."""

    tabulated: int = 0

    async def run(self, task: Any, **options: Any) -> Any:
        self.tabulated += isinstance(task, TabulateRows)
        async for event in super().run(task, **options):
            yield event


async def ended(world: World, workers: FakeWorkers, new: NewEvaluation) -> StoredEvaluation:
    stored = world.stores.evaluations.add(new)
    name = EvaluationName.parse(stored.name)
    async with scheduling(world, workers) as scheduler:
        scheduler.submit(stored)
        await until(lambda: world.stores.evaluations.get(name).state.is_final)
    return world.stores.evaluations.get(name)


def columns_of(world: World, stored: StoredEvaluation, workers: FakeWorkers) -> EvaluationColumns:
    shards = StoredShards(world.stores.evaluations, stored.number, asyncio.to_thread)
    return EvaluationColumns(workers, stored.spec, (shards,), lane=Lane.BULK)


async def summary(world: World, stored: StoredEvaluation, workers: FakeWorkers) -> Evaluation:
    data = await summarized(
        workers,
        columns_of(world, stored, workers),
        stored.spec,
        stored.environment,
        results=RESULTS,
        lane=Lane.BULK,
    )
    return Evaluation.FromString(data)


def mean_curve(world: World, stored: StoredEvaluation, result: int) -> list[float]:
    """Of the first of equal images."""
    rows = world.stores.evaluations.all_image_rows(stored.number, "curves")
    first = {row.image: row for row in reversed([*map(ImageResult.FromString, rows)])}
    curves = [row.scores[result].curves["curve"].values for row in first.values()]
    return [math.fsum(points) / len(points) for points in zip(*curves, strict=True)]


def curve_of(evaluation: Evaluation, result: int) -> list[float]:
    return list(evaluation.results[result].curves["curve"].values)


async def test_mean_curves_are_those_of_all_images(world: World) -> None:
    workers = CountingWorkers()
    found = await ended(world, workers, world.new(2 * SHARD + 5))
    for result in range(RESULTS):
        curve = curve_of(encode_evaluation(found), result)
        assert curve == pytest.approx(mean_curve(world, found, result), rel=1e-15)
    assert workers.tabulated == 0


async def test_an_evaluation_cut_in_a_shard_is_summarized_with_the_images_it_has(
    world: World,
) -> None:
    workers = CountingWorkers(held=asyncio.Event(), held_after=SHARD + 3)
    stored = world.stores.evaluations.add(world.new(2 * SHARD))
    name = EvaluationName.parse(stored.name)
    async with scheduling(world, workers) as scheduler:
        scheduler.submit(stored)
        await until(lambda: len(workers.computed) == SHARD + 3)
        await scheduler.cancel(name)
        await until(lambda: world.stores.evaluations.get(name).state.is_final)
    found = world.stores.evaluations.get(name)
    message = encode_evaluation(found)
    assert (found.state, message.sampling.images) == (State.CANCELLED, SHARD + 3)
    assert [result.summary.scored for result in message.results] == [SHARD + 3] * RESULTS
    assert curve_of(message, 1) == pytest.approx(mean_curve(world, found, 1), rel=1e-15)
    assert workers.tabulated == 1  # the shard that was cut


async def test_copies_in_later_shards_count_in_no_curve(world: World) -> None:
    dataset = store_dataset(world.stores, [*range(SHARD), *range(SHARD - 8, SHARD + 4)])
    images = SHARD + 12
    spec = replace(small_spec(world.model, dataset))
    new = replace(
        world.new(1),
        spec=serialized_spec(spec),
        dataset=dataset,
        images=images,
        predictions=images * PREDICTIONS_PER_IMAGE,
    )
    workers = CountingWorkers()
    found = await ended(world, workers, new)
    message = encode_evaluation(found)
    assert (message.sampling.images, message.sampling.copies) == (SHARD + 4, 8)
    assert message.results[0].summary.scored == SHARD + 4
    assert curve_of(message, 0) == pytest.approx(mean_curve(world, found, 0), rel=1e-15)
    assert workers.tabulated == 1


async def test_shards_without_columns_get_the_same_ones_from_their_rows(world: World) -> None:
    workers = CountingWorkers()
    found = await ended(world, workers, world.new(SHARD + 5))
    before = [await columns_of(world, found, workers).block(block) for block in (IMAGES, 1)]
    summed = await summary(world, found, workers)
    with world.stores.ownership.engine.begin() as connection:
        connection.execute(delete(score_columns).where(score_columns.c.shard == 1))
    columns = columns_of(world, found, workers)
    assert [await columns.block(block) for block in (IMAGES, 1)] == before
    assert workers.tabulated == 1
    assert await summary(world, found, workers) == summed


async def test_columns_of_an_unknown_version_are_refused_by_name(world: World) -> None:
    workers = FakeWorkers()
    found = await ended(world, workers, world.new(3))
    strange = msgspec.msgpack.encode([VERSION + 1, "of a later release"])
    with world.stores.ownership.engine.begin() as connection:
        connection.execute(update(score_columns).values(data=strange))
    words = rf"version {VERSION + 1}, this release reads {VERSION}.*evaluate again"
    with pytest.raises(FailedPreconditionError, match=words):
        await summary(world, found, workers)


async def test_deleting_an_evaluation_deletes_its_columns(world: World) -> None:
    found = await ended(world, FakeWorkers(), world.new(3))
    store = world.stores.evaluations
    assert store.columns(found.number, IMAGES).keys() == {0}
    store.delete(EvaluationName.parse(found.name))
    assert store.columns(found.number, IMAGES) == {}
