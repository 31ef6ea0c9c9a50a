import asyncio
from itertools import pairwise

import pytest

from heatproof.evaluators.errors import NotFoundError
from heatproof.server.evaluations.runs.progress import ProgressBoard
from heatproof.server.evaluations.store.records import State, StoredEvaluation
from heatproof.server.evaluations.watching import WatchIntervals, watch
from heatproof.server.resource_names import EvaluationName
from tests.server.driving import scheduling, until
from tests.server.fakes import FakeWorkers
from tests.server.world import World

QUICK = WatchIntervals(shortest_seconds=0.02, longest_seconds=30.0)
PULSE = WatchIntervals(shortest_seconds=0.01, longest_seconds=0.03)


async def test_the_first_message_is_the_present_state_and_the_last_the_final_one(
    world: World,
) -> None:
    board, workers = ProgressBoard(), FakeWorkers(held=asyncio.Event(), held_after=2)
    stored = world.stores.evaluations.add(world.new(6))
    name = EvaluationName.parse(stored.name)
    async with scheduling(world, workers, board=board) as scheduler:
        await until(lambda: len(workers.computed) == 2)
        seen: list[StoredEvaluation] = []
        async for snapshot in watch(name, scheduler, board, QUICK):
            seen.append(snapshot)
            workers.go()

    assert (seen[0].state, seen[0].images_done) == (State.RUNNING, 2)
    assert (seen[-1].state, seen[-1].images_done) == (State.SUCCEEDED, 6)
    assert seen[-1].results
    assert [one.state.is_final for one in seen] == [False] * (len(seen) - 1) + [True]
    assert all(a.images_done <= b.images_done for a, b in pairwise(seen))
    assert all(a.predictions_done <= b.predictions_done for a, b in pairwise(seen))


async def test_an_ended_evaluation_is_sent_once(world: World) -> None:
    board = ProgressBoard()
    stored = world.stores.evaluations.add(world.new(2))
    name = EvaluationName.parse(stored.name)
    async with scheduling(world, FakeWorkers(), board=board) as scheduler:
        await until(lambda: world.stores.evaluations.get(name).state.is_final)
        seen = [snapshot async for snapshot in watch(name, scheduler, board, QUICK)]

    assert [one.state for one in seen] == [State.SUCCEEDED]


async def test_an_unchanged_evaluation_is_sent_again_from_time_to_time(world: World) -> None:
    board, workers = ProgressBoard(), FakeWorkers(held=asyncio.Event(), held_after=1)
    stored = world.stores.evaluations.add(world.new(2))
    name = EvaluationName.parse(stored.name)
    async with scheduling(world, workers, board=board) as scheduler:
        await until(lambda: len(workers.computed) == 1)
        seen: list[StoredEvaluation] = []
        async for snapshot in watch(name, scheduler, board, PULSE):
            seen.append(snapshot)
            if len(seen) == 4:
                break

    assert seen[1] == seen[2] == seen[3]


async def test_a_changing_evaluation_is_not_sent_without_a_pause(world: World) -> None:
    board = ProgressBoard()
    stored = world.stores.evaluations.add(world.new(2))
    name = EvaluationName.parse(stored.name)
    clock = asyncio.get_running_loop().time

    async def change_without_end() -> None:
        while True:
            board.announce(stored.name)
            await asyncio.sleep(0)

    async with scheduling(world, FakeWorkers(held=asyncio.Event()), board=board) as scheduler:
        restless = asyncio.create_task(change_without_end())
        times: list[float] = []
        async for _ in watch(name, scheduler, board, QUICK):
            times.append(clock())
            if len(times) == 5:
                break
        restless.cancel()

    assert min(b - a for a, b in pairwise(times)) >= QUICK.shortest_seconds


async def test_the_final_state_is_sent_without_a_pause(world: World) -> None:
    board, workers = ProgressBoard(), FakeWorkers(held=asyncio.Event(), held_after=1)
    stored = world.stores.evaluations.add(world.new(2))
    name = EvaluationName.parse(stored.name)
    rare = WatchIntervals(shortest_seconds=3600.0, longest_seconds=7200.0)
    async with scheduling(world, workers, board=board) as scheduler:
        await until(lambda: len(workers.computed) == 1)
        seen: list[StoredEvaluation] = []
        async with asyncio.timeout(60):
            async for snapshot in watch(name, scheduler, board, rare):
                seen.append(snapshot)
                workers.go()

    assert [one.state for one in seen] == [State.RUNNING, State.SUCCEEDED]


async def test_a_slow_reader_misses_states_in_between_but_not_the_last(world: World) -> None:
    board, workers = ProgressBoard(), FakeWorkers(held=asyncio.Event())
    stored = world.stores.evaluations.add(world.new(20))
    name = EvaluationName.parse(stored.name)
    async with scheduling(world, workers, board=board) as scheduler:
        seen: list[StoredEvaluation] = []
        async for snapshot in watch(name, scheduler, board, QUICK):
            seen.append(snapshot)
            workers.go()
            await until(lambda: world.stores.evaluations.get(name).state.is_final)

    assert len(seen) == 2
    assert (seen[1].state, seen[1].images_done) == (State.SUCCEEDED, 20)


async def test_nobody_can_watch_what_is_not_there(world: World) -> None:
    board = ProgressBoard()
    async with scheduling(world, FakeWorkers(), board=board) as scheduler:
        watching = watch(EvaluationName.unused(), scheduler, board, QUICK)
        with pytest.raises(NotFoundError):
            await anext(aiter(watching))
