import asyncio
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from heatproof.evaluators.errors import (
    CancelledError,
    DeadlineExceededError,
    InternalError,
    InvalidImageError,
    LimitExceededError,
    OverloadedError,
    WorkerCrashedError,
)
from heatproof.server.workers.local.pool import PoolSettings, WorkerPool
from heatproof.server.workers.protocol import Done, Lane, Partial, Progress
from tests.server.workers.fault_tasks import (
    Blunder,
    Count,
    CountOf,
    CountOnPaper,
    Describe,
    Eat,
    Hoard,
    Multiply,
    Refuse,
    Wait,
)
from tests.server.workers.pools import started

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_events_come_in_order_and_end_with_the_value(pool: WorkerPool) -> None:
    events = [event async for event in pool.run(Count(2))]

    assert events[:4] == [
        Progress("number 0", 0),
        Partial(0),
        Progress("number 1", 1),
        Partial(1),
    ]
    assert isinstance(events[4], Done)
    assert events[4].value not in {0, psutil.Process().pid}


async def test_a_domain_error_arrives_whole(pool: WorkerPool) -> None:
    with pytest.raises(InvalidImageError) as caught:
        await pool.call(Refuse())

    assert (caught.value.message, caught.value.field) == ("it is no image", "images[3]")
    assert caught.value.metadata == {"image": "3"}


async def test_an_unexpected_error_is_internal_and_spares_the_worker(pool: WorkerPool) -> None:
    before = await pool.call(Count(0))

    with pytest.raises(InternalError, match=r"Blunder failed.* error id \w{16}") as caught:
        await pool.call(Blunder())
    assert "surprise" not in str(caught.value)

    assert await pool.call(Count(0)) == before


async def test_linear_algebra_of_a_worker_stays_in_its_thread(
    settings: PoolSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "4")

    async with started(settings) as pool:
        assert await pool.call(Multiply()) < 0.2


async def test_a_task_that_kills_its_worker_once_succeeds_without_repeating_results(
    pool: WorkerPool, tmp_path: Path
) -> None:
    task = Count(4, deadly=2, diary=tmp_path / "diary", deaths=1)

    assert [value async for value in pool.stream(task)] == [0, 1, 2, 3]
    pids = task.diary.read_text().split()
    assert len(set(pids)) == 2


async def test_a_task_that_kills_two_workers_fails_and_names_its_step(
    pool: WorkerPool, tmp_path: Path
) -> None:
    task = Count(4, deadly=2, diary=tmp_path / "diary", deaths=9)

    with pytest.raises(WorkerCrashedError, match=r"SIGSEGV.*number 2") as caught:
        await pool.call(task)

    assert caught.value.metadata["step"] == "number 2"
    assert len(task.diary.read_text().split()) == 2
    assert await pool.call(Count(1)) > 0


async def test_a_crash_leaves_the_other_lane_alone(pool: WorkerPool, tmp_path: Path) -> None:
    async with aclosing(pool.run(Wait(), lane=Lane.BULK)) as events:
        await anext(events)
        bulk = pool.call(Count(4, deadly=0, diary=tmp_path / "diary", deaths=9))
        with pytest.raises(WorkerCrashedError):
            await bulk
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(events), 0.05)


async def test_an_interactive_task_does_not_wait_behind_bulk_work(pool: WorkerPool) -> None:
    async with aclosing(pool.run(Wait(), lane=Lane.BULK)) as events:
        await anext(events)
        assert await pool.call(Count(1), seconds=30) > 0


async def test_idle_bulk_workers_take_other_tasks_where_workers_are_shared(
    settings: PoolSettings,
) -> None:
    async with started(replace(settings, share=True)) as pool:
        bulk = await pool.call(Count(0), lane=Lane.BULK)

        assert await pool.call(Count(0)) == bulk
        assert await pool.call(Count(0), lane=Lane.INSPECTION) == bulk
        async with aclosing(pool.run(Wait(), lane=Lane.BULK)) as events:
            await anext(events)
            own = await pool.call(Count(0), seconds=30)
            assert own != bulk
        assert await pool.call(Count(0)) == own


async def test_what_writes_has_a_worker_of_its_lane(settings: PoolSettings) -> None:
    async with started(replace(settings, share=True)) as pool:
        bulk = await pool.call(Count(0), lane=Lane.BULK)

        assert await pool.call(CountOnPaper(0)) != bulk


async def test_lanes_keep_their_workers_apart_unless_told_otherwise(
    settings: PoolSettings,
) -> None:
    async with started(settings) as pool:
        workers = [await pool.call(Count(0), lane=lane) for lane in reversed(Lane)]  # bulk first

        assert len(set(workers)) == len(Lane)


@pytest.mark.parametrize(("share", "processes"), [(True, 1), (False, 3)])
async def test_shared_workers_are_fewer_processes_from_the_start(
    settings: PoolSettings, share: bool, processes: int
) -> None:
    before = set(psutil.Process().children())
    async with started(replace(settings, preload=True, share=share)):
        assert len(set(psutil.Process().children()) - before) == processes


async def test_closing_the_events_cancels_the_task_and_keeps_the_worker(pool: WorkerPool) -> None:
    before = await pool.call(Count(0))
    async with aclosing(pool.run(Wait())) as events:
        assert await anext(events) == Progress("waiting")

    assert await pool.call(Count(0), seconds=30) == before


async def test_a_cancelled_caller_cancels_the_task(pool: WorkerPool) -> None:
    before = await pool.call(Count(0))
    call = asyncio.create_task(pool.call(Wait()))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert await pool.call(Count(0), seconds=30) == before


async def test_a_task_that_ignores_its_cancellation_loses_its_worker(
    settings: PoolSettings,
) -> None:
    async with started(replace(settings, grace_seconds=0.05)) as pool:
        before = await pool.call(Count(0))
        async with aclosing(pool.run(Wait(deaf=True))) as events:
            await anext(events)

        assert await pool.call(Count(0), seconds=30) != before


@pytest.mark.parametrize("deaf", [False, True])
async def test_a_hanging_task_fails_at_its_deadline(settings: PoolSettings, deaf: bool) -> None:
    async with started(replace(settings, grace_seconds=0.05)) as pool:
        await pool.call(Count(0))
        with pytest.raises(DeadlineExceededError, match="it was at: waiting"):
            await pool.call(Wait(deaf=deaf), seconds=0.3)

        assert await pool.call(Count(0), seconds=30) > 0


async def test_waiting_counts_towards_the_deadline(pool: WorkerPool) -> None:
    async with aclosing(pool.run(Wait())) as events:
        await anext(events)
        with pytest.raises(DeadlineExceededError):
            await pool.call(Count(0), seconds=0.05)


async def test_a_hungry_task_is_killed_and_told_so(settings: PoolSettings) -> None:
    async with started(replace(settings, memory_bytes=600 << 20)) as pool:
        with pytest.raises(LimitExceededError, match=r"600 MiB.*eating"):
            await pool.call(Eat(800))

        assert await pool.call(Count(0)) > 0


async def test_memory_left_by_an_earlier_task_is_not_held_against_the_next(
    settings: PoolSettings,
) -> None:
    async with started(replace(settings, memory_bytes=700 << 20)) as pool:
        before = await pool.call(Hoard(450))
        assert await pool.call(Eat(350, seconds=0.5)) == 350 << 20
        assert await pool.call(Count(0)) != before


async def test_a_full_lane_refuses_with_a_delay(settings: PoolSettings) -> None:
    async with started(replace(settings, max_waiting=1, retry_seconds=2.5)) as pool:
        async with aclosing(pool.run(Wait())) as events:
            await anext(events)
            waiting = asyncio.create_task(pool.call(Count(0)))
            await asyncio.sleep(0)
            with pytest.raises(OverloadedError) as caught:
                await pool.call(Count(0))
            assert caught.value.metadata == {"retry_delay_seconds": "2.5"}
        assert await waiting > 0


async def test_tasks_are_served_in_the_order_of_their_arrival(pool: WorkerPool) -> None:
    done: list[int] = []

    async def call(number: int) -> None:
        await pool.call(Count(number))
        done.append(number)

    await asyncio.gather(*(call(number) for number in (3, 1, 2)))
    assert done == [3, 1, 2]


@pytest.mark.parametrize(
    ("before", "after", "stays"),
    [
        (("a",), ("a",), True),
        (("a",), ("a", "b"), True),
        ((), ("b",), True),
        (("a",), ("b",), False),
        (("a", "b"), ("a",), False),
    ],
)
async def test_no_model_was_there_before_one_whose_words_are_kept(
    settings: PoolSettings, before: tuple[str, ...], after: tuple[str, ...], *, stays: bool
) -> None:
    async with started(settings) as pool:
        first = await pool.call(CountOf(0, models=frozenset(before), kept=False), lane=Lane.BULK)
        last = await pool.call(CountOf(0, models=frozenset(after)), lane=Lane.BULK)
        again = await pool.call(CountOf(0, models=frozenset(after)), lane=Lane.BULK)
    assert (first == last) is stays
    assert last == again


async def test_models_share_a_worker_whose_words_are_not_kept(settings: PoolSettings) -> None:
    async with started(settings) as pool:
        tasks = [CountOf(0, models=frozenset({name}), kept=False) for name in "ab"]
        found = [await pool.call(task, lane=Lane.BULK) for task in tasks]
    assert found[0] == found[1]


async def test_closing_the_pool_ends_its_processes_and_its_tasks(settings: PoolSettings) -> None:
    async with started(settings) as pool:
        pid = await pool.call(Count(0))
        call = asyncio.create_task(pool.call(Wait()))
        await asyncio.sleep(0.01)

    with pytest.raises(CancelledError, match="stopped with the server"):
        await call
    assert not psutil.pid_exists(pid)


async def test_a_worker_is_quiet_about_interrupts_and_yields_to_the_server(
    pool: WorkerPool,
) -> None:
    interactive = await pool.call(Describe())
    bulk = await pool.call(Describe(), lane=Lane.BULK)

    assert interactive["interrupts"] is True
    assert str(interactive["main"]).endswith("server/worker.py")
    assert int(str(bulk["niceness"])) > int(str(interactive["niceness"]))
