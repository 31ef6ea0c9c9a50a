import asyncio
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from google.rpc import error_details_pb2, status_pb2
from sqlalchemy.exc import IntegrityError

from heatproof.evaluators.errors import (
    ConflictError,
    FailedPreconditionError,
    InvalidImageError,
    NotFoundError,
    OverloadedError,
    ResourceInUseError,
)
from heatproof.evaluators.evaluation.engine import shards
from heatproof.server.api.codec.evaluation_messages import encode_listed
from heatproof.server.api.codec.evaluations import encode_evaluation, with_ways_run
from heatproof.server.api.codec.listing import Listing
from heatproof.server.api.reply_size import MAX_REPLY_BYTES
from heatproof.server.evaluations.store.records import (
    Ending,
    Experience,
    ImageRow,
    ShardRows,
    State,
    StoredEvaluation,
)
from heatproof.server.resource_names import DatasetName, EvaluationName, ModelName
from heatproof.server.storage.pages import PageRequest
from heatproof.v1 import evaluation_pb2, evaluation_service_pb2, results_pb2
from tests.server.driving import scheduling, until
from tests.server.fakes import FakeWorkers
from tests.server.world import PREDICTIONS_PER_IMAGE, World, opened_world

SHARD = len(shards(1000)[0])
SEVERAL = 2 * SHARD + 5
REQUEST_ID = "12345678-1234-1234-1234-123456789abc"


async def ended(world: World, stored: StoredEvaluation) -> StoredEvaluation:
    name = EvaluationName.parse(stored.name)
    await until(lambda: world.stores.evaluations.get(name).state.is_final)
    return world.stores.evaluations.get(name)


def message_of(stored: StoredEvaluation) -> evaluation_pb2.Evaluation:
    return encode_evaluation(stored)


def status_reason(stored: StoredEvaluation) -> str:
    info = error_details_pb2.ErrorInfo()
    status_pb2.Status.FromString(stored.error).details[0].Unpack(info)
    return info.reason


async def test_every_image_is_scored_once_and_in_the_order_of_the_data_set(world: World) -> None:
    workers = FakeWorkers()
    stored = world.stores.evaluations.add(world.new(SEVERAL))
    async with scheduling(world, workers, parallel=2) as scheduler:
        scheduler.submit(stored)
        scheduler.submit(stored)
        found = await ended(world, stored)

    images = world.stores.datasets.images(DatasetName.parse(found.dataset), range(SEVERAL))
    rows = world.stores.evaluations.all_image_rows(found.number, "basic")
    digests = [message.image for message in map(_image, rows)]
    assert digests == [image.digest for image in images]
    assert sorted(workers.computed) == sorted(digests)
    assert (found.state, found.images_done) == (State.SUCCEEDED, SEVERAL)
    assert found.predictions_done == PREDICTIONS_PER_IMAGE * SEVERAL


async def test_an_ended_evaluation_has_its_summaries(world: World) -> None:
    stored = world.stores.evaluations.add(world.new(12))
    async with scheduling(world, FakeWorkers()) as scheduler:
        scheduler.submit(stored)
        message = message_of(await ended(world, stored))

    rows = world.stores.evaluations.all_image_rows(stored.number, "basic")
    values = [_image(row).scores[1].score.value for row in rows]
    assert message.results[1].summary.value == pytest.approx(sum(values) / 12, rel=1e-12)
    assert message.results[1].summary.scored == 12
    assert message.clean_accuracy[world.model].scored == 12
    assert message.environment["heatproof"] == "test"
    assert message.end_time.ToNanoseconds() >= message.create_time.ToNanoseconds() > 0


async def test_ways_in_which_models_were_run_are_told_once_each_over_all_shards(
    world: World,
) -> None:
    stored = world.stores.evaluations.add(world.new(SEVERAL))
    async with scheduling(world, FakeWorkers(), parallel=2) as scheduler:
        scheduler.submit(stored)
        message = message_of(await ended(world, stored))
    ways = "models/m: plain 2 x 3 x 1; models/m: plain 4 x 3 x 1"
    assert message.environment["ways_run"] == ways
    assert message.environment["heatproof"] == "test"


def test_ways_of_a_stored_shard_are_known_after_a_restart(world: World) -> None:
    store = world.stores.evaluations
    stored = store.add(world.new(3))
    told = with_ways_run(stored.environment, ["models/m: plain 2 x 3 x 1"])
    rows = ShardRows(0, range(3), (ImageRow(b"", b"", b""),) * 3, 30, 1.0)
    store.add_shard(stored.number, rows, environment=told)
    assert store.get(EvaluationName.parse(stored.name)).environment == told
    assert with_ways_run(told, ["models/m: plain 2 x 3 x 1"]) == told
    assert with_ways_run(stored.environment, []) == stored.environment


async def test_two_evaluations_run_side_by_side_without_mixing(world: World) -> None:
    workers = FakeWorkers(held=asyncio.Event())
    first = world.stores.evaluations.add(world.new(SEVERAL))
    second = world.stores.evaluations.add(world.new(SEVERAL, seed=7))
    async with scheduling(world, workers) as scheduler:
        scheduler.submit(first)
        scheduler.submit(second)
        await until(lambda: workers.shards[0] == 2)
        workers.go()
        found = [await ended(world, stored) for stored in (first, second)]

    values = [[r.summary.value for r in message_of(one).results] for one in found]
    assert values[1] == pytest.approx([value + 7 for value in values[0]], rel=1e-12)


async def test_cancelling_keeps_the_finished_images(world: World) -> None:
    workers = FakeWorkers(held=asyncio.Event(), held_after=SHARD + 3)
    stored = world.stores.evaluations.add(world.new(SEVERAL))
    name = EvaluationName.parse(stored.name)
    async with scheduling(world, workers) as scheduler:
        scheduler.submit(stored)
        await until(lambda: len(workers.computed) == SHARD + 3)
        await scheduler.cancel(name)
        await scheduler.cancel(name)
        found = await ended(world, stored)
        await scheduler.cancel(name)

    assert world.stores.evaluations.get(name) == found
    assert (found.state, found.images_done) == (State.CANCELLED, SHARD + 3)
    assert found.predictions_done == PREDICTIONS_PER_IMAGE * (SHARD + 3)
    assert message_of(found).results[0].summary.scored == SHARD + 3
    assert len(world.stores.evaluations.all_image_rows(found.number, "curves")) == SHARD + 3


async def test_cancelling_keeps_the_count_of_what_was_predicted(world: World) -> None:
    workers = FakeWorkers(held=asyncio.Event(), predicted_before=7)
    stored = world.stores.evaluations.add(world.new(3))
    name = EvaluationName.parse(stored.name)
    async with scheduling(world, workers) as scheduler:
        scheduler.submit(stored)
        await until(lambda: workers.shards[0] == 1)
        assert (await scheduler.snapshot(name)).predictions_done == 7
        await scheduler.cancel(name)
        found = await ended(world, stored)

    assert (found.state, found.images_done, found.predictions_done) == (State.CANCELLED, 0, 7)
    assert not world.stores.evaluations.all_image_rows(found.number, "curves")


async def test_a_queued_evaluation_can_be_cancelled(world: World) -> None:
    workers = FakeWorkers(held=asyncio.Event())
    queued = [world.stores.evaluations.add(world.new(3, seed=seed)) for seed in range(6)]
    async with scheduling(world, workers) as scheduler:
        await until(lambda: workers.shards[0] == 4)
        await scheduler.cancel(EvaluationName.parse(queued[-1].name))
        found = await ended(world, queued[-1])

    assert (found.state, found.images_done) == (State.CANCELLED, 0)
    assert workers.shards[0] == 4


async def test_a_failing_shard_fails_the_evaluation_and_keeps_what_was_finished(
    world: World,
) -> None:
    error = InvalidImageError("image 33 is broken", field="images[33]")
    workers = FakeWorkers(error=error, failing=SHARD)
    stored = world.stores.evaluations.add(world.new(SEVERAL))
    async with scheduling(world, workers) as scheduler:
        scheduler.submit(stored)
        found = await ended(world, stored)

    assert (found.state, found.images_done) == (State.FAILED, SHARD + 1)
    message = message_of(found)
    assert message.error.message == "image 33 is broken"
    assert status_reason(found) == "INVALID_IMAGE"
    assert message.results[0].summary.scored == SHARD + 1


async def test_a_defect_fails_the_evaluation_without_telling_secrets(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = world.stores.evaluations.add(world.new(3))
    monkeypatch.setattr(world.stores.datasets, "images", lambda *_: 1 / 0)
    async with scheduling(world, FakeWorkers()) as scheduler:
        scheduler.submit(stored)
        found = await ended(world, stored)

    assert found.state is State.FAILED
    assert "error id" in message_of(found).error.message
    assert "division" not in message_of(found).error.message


async def test_a_server_that_ends_in_peace_leaves_the_rest_to_the_next(world: World) -> None:
    workers = FakeWorkers(held=asyncio.Event(), held_after=SHARD + 3)
    stored = world.stores.evaluations.add(world.new(SEVERAL))
    name = EvaluationName.parse(stored.name)
    for _ in range(3):  # ending in peace is no death, however often
        async with scheduling(world, workers):
            await until(lambda: len(workers.computed) >= SHARD + 3)
        assert world.stores.evaluations.get(name).state is State.QUEUED
    workers.go()
    async with scheduling(world, workers):
        found = await ended(world, stored)

    assert (found.state, found.images_done) == (State.SUCCEEDED, SEVERAL)
    assert workers.shards[0] == 1, "a stored shard is computed again"


async def test_a_running_evaluation_survives_one_death_but_not_two(world: World) -> None:
    store = world.stores.evaluations
    stored = store.add(world.new(SEVERAL))
    workers = FakeWorkers(held=asyncio.Event(), held_after=SHARD + 3)
    async with scheduling(world, workers):
        await until(lambda: len(workers.computed) == SHARD + 3)
    assert store.begin(stored.name)  # as if that server had been killed
    async with scheduling(world, workers):
        await until(lambda: workers.shards[SHARD] == 2)
    assert store.begin(stored.name)
    async with scheduling(world, workers):
        found = await ended(world, stored)

    assert (found.state, found.images_done) == (State.FAILED, SHARD)
    assert "died twice" in message_of(found).error.message
    assert message_of(found).results[0].summary.scored == SHARD


async def test_a_cancellation_survives_the_death_of_the_server(world: World) -> None:
    store = world.stores.evaluations
    stored = store.add(world.new(SEVERAL))
    assert store.begin_cancellation(stored.name)
    workers = FakeWorkers()
    async with scheduling(world, workers):
        found = await ended(world, stored)

    assert found.state is State.CANCELLED
    assert not workers.shards


def test_a_request_id_finds_what_it_created(world: World) -> None:
    store, new = world.stores.evaluations, world.new(3, request_id=REQUEST_ID)

    assert store.add(new) == store.add(new)
    assert len(store.unfinished()) == 1


def test_a_request_id_of_another_spec_is_a_conflict(world: World) -> None:
    store = world.stores.evaluations
    store.add(world.new(3, request_id=REQUEST_ID))

    with pytest.raises(ConflictError, match="another spec"):
        store.add(world.new(3, request_id=REQUEST_ID, seed=1))


def test_requests_without_id_are_all_different(world: World) -> None:
    store = world.stores.evaluations

    assert store.add(world.new(3)).name != store.add(world.new(3)).name


def test_the_queue_is_bounded_and_says_when_to_come_again(tmp_path: Path) -> None:
    with opened_world(tmp_path, max_queued_evaluations=2) as world:
        new = [world.new(3, seed=seed) for seed in range(3)]
        world.stores.evaluations.add(new[0])
        world.stores.evaluations.add(new[1])
        with pytest.raises(OverloadedError) as caught:
            world.stores.evaluations.add(new[2])

    assert float(caught.value.metadata["retry_delay_seconds"]) > 0


async def test_what_an_unfinished_evaluation_uses_cannot_be_deleted(world: World) -> None:
    stored = world.stores.evaluations.add(world.new(3))
    model, dataset = ModelName.parse(world.model), DatasetName.parse(stored.dataset)
    for delete in (
        lambda: world.stores.models.delete(model),
        lambda: world.stores.datasets.delete(dataset),
    ):
        with pytest.raises(ResourceInUseError, match=stored.name):
            delete()
    async with scheduling(world, FakeWorkers()):
        await ended(world, stored)

    world.stores.datasets.delete(dataset)
    world.stores.models.delete(model)
    assert message_of(world.stores.evaluations.get(EvaluationName.parse(stored.name))).results


def test_an_evaluation_of_a_deleted_model_is_not_taken_in(world: World) -> None:
    new = world.new(3)
    world.stores.models.delete(ModelName.parse(world.model))

    with pytest.raises(NotFoundError, match=world.model):
        world.stores.evaluations.add(new)
    assert world.stores.evaluations.unfinished() == ()


async def test_only_an_ended_evaluation_can_be_deleted(world: World) -> None:
    store = world.stores.evaluations
    stored = store.add(world.new(3))
    name = EvaluationName.parse(stored.name)
    with pytest.raises(FailedPreconditionError, match="queued"):
        store.delete(name)
    async with scheduling(world, FakeWorkers()):
        await ended(world, stored)
    store.delete(name)

    with pytest.raises(NotFoundError):
        store.get(name)
    assert store.all_image_rows(stored.number, "basic") == ()


async def test_old_evaluations_are_deleted_and_young_ones_kept(world: World) -> None:
    store = world.stores.evaluations
    stored = store.add(world.new(3))
    async with scheduling(world, FakeWorkers()):
        await ended(world, stored)
    unfinished = store.add(world.new(3, seed=1))
    now = datetime.now(UTC)

    assert store.delete_ended_before(now - timedelta(days=1)) == 0
    assert store.delete_ended_before(now + timedelta(seconds=1)) == 1
    assert [one.name for one in store.unfinished()] == [unfinished.name]


def test_a_shard_is_stored_with_all_its_images_or_not_at_all(world: World) -> None:
    store = world.stores.evaluations
    stored = store.add(world.new(SEVERAL))
    row = ImageRow(b"basic", b"curves", b"")
    store.add_shard(stored.number, ShardRows(0, range(3), (row,) * 3, 30, 1.0))

    with pytest.raises(IntegrityError):  # image 2 is there already
        store.add_shard(stored.number, ShardRows(1, range(2, 5), (row,) * 3, 30, 1.0))
    assert store.finished_shards(stored.number) == {0}
    assert len(store.all_image_rows(stored.number, "basic")) == 3


def test_the_list_is_paged_newest_first(world: World) -> None:
    store = world.stores.evaluations
    names = [store.add(world.new(3, seed=seed)).name for seed in range(5)]
    first = store.page(PageRequest.parse(3, ""))
    second = store.page(PageRequest.parse(3, first.next_token))

    assert [one.name for one in (*first.items, *second.items)] == names[::-1]
    assert second.next_token == ""


def test_a_page_has_as_many_large_specs_as_a_reply_holds(world: World) -> None:
    store = world.stores.evaluations
    text = (200 << 10) * "x"
    spec = evaluation_pb2.EvaluationSpec(output=text).SerializeToString()
    names = [store.add(replace(world.new(3), spec=spec)).name for _ in range(40)]
    listed, token = [], ""
    while not listed or token:
        listing = Listing(encode_listed)
        page = store.page(PageRequest.parse(1000, token), listing.takes)
        reply = evaluation_service_pb2.ListEvaluationsResponse(
            evaluations=listing.messages, next_page_token=page.next_token
        )
        assert reply.ByteSize() <= MAX_REPLY_BYTES
        assert [one.name for one in page.items] == [one.name for one in reply.evaluations]
        listed += [one.name for one in reply.evaluations]
        token = page.next_token
    assert listed == names[::-1]


def test_a_list_goes_on_without_what_is_deleted_meanwhile(world: World) -> None:
    store = world.stores.evaluations
    names = [store.add(world.new(3, seed=seed)).name for seed in range(4)]
    store.begin_cancellation(names[1])
    stored = store.get(EvaluationName.parse(names[1]))
    store.end(stored, Ending(State.CANCELLED, b""))

    def fits(listed: StoredEvaluation) -> bool:
        if listed.name == names[2]:
            store.delete(EvaluationName.parse(names[1]))
        return True

    page = store.page(PageRequest.parse(3, ""), fits)
    assert [one.name for one in page.items] == [names[3], names[2]]
    rest = store.page(PageRequest.parse(3, page.next_token))
    assert [one.name for one in rest.items] == names[:1]


def test_what_evaluations_of_models_have_cost_is_remembered_the_newest_first(world: World) -> None:
    store = world.stores.evaluations
    older, newer = store.add(world.new(3)), store.add(world.new(3, seed=1))
    assert store.experiences((world.model,)) == ()
    row = ImageRow(b"", b"", b"")
    store.add_shard(older.number, ShardRows(0, range(1), (row,), 30, 1.5))
    store.add_shard(newer.number, ShardRows(0, range(2), (row, row), 10, 1.0))
    store.add_shard(newer.number, ShardRows(1, range(2, 3), (row,), 5, 0.5))

    assert store.experiences((world.model,)) == (
        Experience(newer.spec, images=3, predictions=15, seconds=1.5),
        Experience(older.spec, images=1, predictions=30, seconds=1.5),
    )
    assert store.experiences((world.model, "models/other")) == ()


def test_what_is_stored_is_on_the_disk_at_once(world: World) -> None:
    with sqlite3.connect(world.settings.data_dir / "heatproof.sqlite") as reader:
        stored = world.stores.evaluations.add(world.new(3))
        names = reader.execute("select name, state from evaluations").fetchall()
    reader.close()

    assert names == [(stored.name, "queued")]


def _image(data: bytes) -> results_pb2.ImageResult:
    return results_pb2.ImageResult.FromString(data)
