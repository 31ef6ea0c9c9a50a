"""Tasks that take too long or too much, and workers that hang, stop nobody else."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from heatproof.evaluators.errors import (
    DeadlineExceededError,
    LimitExceededError,
    WorkerCrashedError,
)
from heatproof.server.workers.limits import (
    LOADED_BYTES_PER_SECOND,
    Amount,
    Effort,
    Limits,
    TaskLimits,
)
from heatproof.server.workers.local import handle
from heatproof.server.workers.local.mailbox import MAX_UNREAD
from heatproof.server.workers.local.pool import PoolSettings, WorkerPool
from heatproof.server.workers.protocol import Done, Lane, Progress
from tests.server.workers.fault_tasks import Count, Describe, Eat, Flood, Hoard, Pass, Wait
from tests.server.workers.pools import started

pytestmark = pytest.mark.asyncio(loop_scope="session")

PATIENCE = 60.0


def limited(settings: PoolSettings, **limits: float) -> PoolSettings:
    return replace(settings, limits=Limits(tasks=TaskLimits(**limits)), patience_seconds=0.05)


async def until(claim: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not claim():  # noqa: ASYNC110 - the claims are about processes
            await asyncio.sleep(0.005)


async def pid_of(pool: WorkerPool, lane: Lane) -> int:
    return int(str((await pool.call(Describe(), lane=lane))["pid"]))


@pytest.mark.parametrize("deaf", [False, True])
async def test_a_task_that_takes_too_long_names_the_limit_and_the_way_out(
    settings: PoolSettings, deaf: bool
) -> None:
    async with started(limited(settings, inspect_seconds=0.2)) as pool:
        with pytest.raises(
            DeadlineExceededError,
            match=r"Wait .* within the 0\.2 s .* at: waiting; use something shorter, or raise "
            "HEATPROOF_INSPECT_SECONDS",
        ) as caught:
            await pool.call(Wait(deaf=deaf), lane=Lane.INSPECTION)

    assert caught.value.metadata["setting"] == "HEATPROOF_INSPECT_SECONDS"


async def test_the_kernel_ends_a_task_that_takes_too_much_of_the_processor(
    settings: PoolSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    cores = len(os.sched_getaffinity(0))
    monkeypatch.setattr(handle, "_SPARE_PROCESSOR_SECONDS", 1.0 - 30.0 * cores)
    async with started(limited(settings, inspect_seconds=30.0)) as pool:
        pid = await pid_of(pool, Lane.INSPECTION)
        with pytest.raises(DeadlineExceededError, match=r"within the 30 s .* at: waiting"):
            await pool.call(Wait(deaf=True, busy=True), lane=Lane.INSPECTION)
        assert await pid_of(pool, Lane.INSPECTION) != pid


async def test_the_time_of_a_task_grows_with_its_bytes(settings: PoolSettings) -> None:
    async with started(limited(settings, inspect_seconds=0.1)) as pool:
        with pytest.raises(DeadlineExceededError, match=r"within the 0\.35 s"):
            await pool.call(Wait(model_bytes=LOADED_BYTES_PER_SECOND // 4))


async def test_a_seat_is_free_long_before_the_grace_of_its_worker_ends(
    settings: PoolSettings,
) -> None:
    changed = replace(limited(settings, inspect_seconds=0.2), grace_seconds=PATIENCE)
    async with started(changed) as pool:
        with pytest.raises(DeadlineExceededError):
            await pool.call(Wait(deaf=True))
        start = time.monotonic()
        assert await pool.call(Count(0)) > 0
        assert time.monotonic() - start < PATIENCE / 2


async def test_a_worker_that_obeys_late_comes_back(settings: PoolSettings) -> None:
    changed = replace(settings, patience_seconds=0.0, grace_seconds=PATIENCE)
    async with started(changed) as pool:
        before = await pool.call(Count(0))
        async with aclosing(pool.run(Wait())) as events:
            await anext(events)
        await asyncio.sleep(0.1)
        await until(lambda: not pool._retired)
        assert await pool.call(Count(0)) == before


async def test_cancelling_what_cannot_be_cancelled_does_not_heap_up_workers(
    settings: PoolSettings,
) -> None:
    changed = replace(settings, patience_seconds=0.0, grace_seconds=PATIENCE)
    others = set(psutil.Process().children())  # of servers that other tests share
    async with started(changed) as pool:
        for _ in range(3):
            async with aclosing(pool.run(Wait(deaf=True))) as events:
                await anext(events)
        await until(lambda: len(set(psutil.Process().children()) - others) <= 2)


async def test_hanging_inspections_stop_neither_requests_nor_shards(
    settings: PoolSettings,
) -> None:
    async with (
        started(replace(settings, inspection_workers=2)) as pool,
        aclosing(pool.run(Wait(deaf=True), lane=Lane.INSPECTION)) as evil,
    ):
        await anext(evil)
        for lane in Lane:  # a second inspector serves the lane of the first
            assert await pool.call(Count(0), lane=lane, seconds=PATIENCE) > 0


async def test_a_hanging_request_does_not_stop_the_others(settings: PoolSettings) -> None:
    async with (
        started(replace(settings, interactive_workers=2)) as pool,
        aclosing(pool.run(Wait(deaf=True))) as evil,
    ):
        await anext(evil)
        assert await pool.call(Count(0), seconds=PATIENCE) > 0


async def test_requests_one_after_the_other_share_a_worker(settings: PoolSettings) -> None:
    async with started(replace(settings, interactive_workers=3)) as pool:
        assert len({await pool.call(Count(0)) for _ in range(4)}) == 1


async def test_workers_that_nobody_needs_any_more_end(settings: PoolSettings) -> None:
    changed = replace(settings, interactive_workers=2, idle_seconds=0.05)
    async with started(changed) as pool:
        first, second = await asyncio.gather(pool.call(Count(0)), pool.call(Count(0)))
        assert first != second
        await until(lambda: not psutil.pid_exists(second))
        assert psutil.pid_exists(first)


@pytest.mark.parametrize("lane", Lane)
async def test_a_worker_that_is_stopped_before_its_task_is_replaced(
    settings: PoolSettings, lane: Lane
) -> None:
    async with started(limited(settings, stopped_seconds=0.1)) as pool:
        stopped = await pid_of(pool, lane)
        os.kill(stopped, signal.SIGSTOP)

        assert await pool.call(Count(0), lane=lane, seconds=PATIENCE) != stopped
        assert not psutil.pid_exists(stopped)


async def test_a_worker_that_is_stopped_in_its_task_is_replaced(
    settings: PoolSettings, tmp_path: Path
) -> None:
    task = Flood(3, 10, tmp_path / "diary")
    others = set(psutil.Process().children())
    async with (
        started(limited(settings, stopped_seconds=0.1)) as pool,
        aclosing(pool.run(task)) as events,
    ):
        await anext(events)
        (working,) = set(psutil.Process().children()) - others
        working.suspend()
        last = [event async for event in events][-1]
    assert last == Done(None)


async def test_a_task_that_hangs_two_workers_is_given_up(settings: PoolSettings) -> None:
    others = set(psutil.Process().children())
    async with started(limited(settings, stopped_seconds=0.1)) as pool:
        call = asyncio.create_task(pool.call(Wait()))
        while not call.done():
            for child in set(psutil.Process().children()) - others:
                if child.status() == psutil.STATUS_SLEEPING:
                    child.suspend()
            await asyncio.sleep(0.01)
        with pytest.raises(WorkerCrashedError, match="gave no sign of life"):
            await call


async def test_a_worker_without_pulse_is_replaced(settings: PoolSettings) -> None:
    limits = {"stopped_seconds": PATIENCE, "unresponsive_seconds": 1.0}
    async with started(limited(settings, **limits)) as pool:
        stopped = await pid_of(pool, Lane.INTERACTIVE)
        os.kill(stopped, signal.SIGSTOP)
        assert await pool.call(Count(0), seconds=PATIENCE) != stopped


@pytest.mark.parametrize("lane", Lane)
async def test_a_task_without_progress_fails_in_every_lane(
    settings: PoolSettings, lane: Lane
) -> None:
    async with started(limited(settings, silence_seconds=0.3)) as pool:
        await pool.call(Count(0), lane=lane)
        with pytest.raises(
            DeadlineExceededError,
            match=r"no progress for 0\.3 s, at: waiting.*HEATPROOF_SILENCE_SECONDS",
        ):
            await pool.call(Wait(), lane=lane)


async def test_passes_that_end_are_progress(settings: PoolSettings) -> None:
    # The server hears of passes with each pulse, four times in this time.
    limits = {"silence_seconds": 1.5, "unresponsive_seconds": 1.5}
    async with started(limited(settings, **limits)) as pool:
        assert await pool.call(Pass(2.5), seconds=PATIENCE) == "done"


async def test_a_reader_who_rests_is_no_silence_and_fills_no_memory(
    settings: PoolSettings, tmp_path: Path
) -> None:
    diary, part = tmp_path / "diary", 1 << 20
    async with started(limited(settings, silence_seconds=0.2)) as pool:
        await pool.call(Count(0))
        async with aclosing(pool.stream(Flood(4 * MAX_UNREAD, part, diary))) as parts:
            received = len(await anext(parts))
            await asyncio.sleep(0.5)
            assert len(diary.read_text().splitlines()) < 2 * MAX_UNREAD
            received += sum([len(found) async for found in parts])
    assert received == 4 * MAX_UNREAD * part


async def test_workers_share_one_budget_of_memory(settings: PoolSettings) -> None:
    changed = replace(settings, memory_bytes=900 << 20)
    async with started(changed) as pool, aclosing(pool.run(Eat(100))) as small:
        assert await anext(small) == Progress("eating")
        with pytest.raises(LimitExceededError, match=r"900 MiB that all workers together"):
            await pool.call(Eat(800), lane=Lane.BULK)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(small), 0.05)


async def test_idle_workers_make_room_first(settings: PoolSettings) -> None:
    changed = replace(settings, memory_bytes=900 << 20)
    async with started(changed) as pool:
        hoarder = await pool.call(Hoard(600))
        assert await pool.call(Eat(400, seconds=1.0), lane=Lane.BULK) == 400 << 20
        assert not psutil.pid_exists(hoarder)


async def test_a_worker_that_stood_still_with_its_server_is_not_to_blame(
    settings: PoolSettings,
) -> None:
    async with started(limited(settings, unresponsive_seconds=3.0)) as pool:
        before = await pid_of(pool, Lane.INTERACTIVE)
        os.kill(before, signal.SIGSTOP)
        time.sleep(3.5)  # noqa: ASYNC251 - the event loop stands still too
        os.kill(before, signal.SIGCONT)
        assert await pid_of(pool, Lane.INTERACTIVE) == before


async def test_what_is_awaited_has_a_longest_time() -> None:
    limits = TaskLimits(prediction_seconds=2, least_request_seconds=60, most_request_seconds=100)
    amount = Amount(units=21)

    assert limits.allowance(Effort.PREDICTION, amount, awaited=False).seconds == 102
    awaited = limits.allowance(Effort.PREDICTION, amount, awaited=True)
    assert (awaited.seconds, awaited.setting) == (100, "most_request_seconds")
    assert limits.allowance(Effort.PREDICTION, Amount(units=1), awaited=True).seconds == 62
