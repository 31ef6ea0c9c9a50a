"""Workers as processes on this machine.

Interactive tasks have a worker of their own beside the bulk workers, so an upload or a small
evaluation never waits behind a long shard, and a model that kills its inspector kills no shard.
Every worker may use all cores; bulk workers give way to the others by their niceness.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Final, Self, TypeVar

from heatproof.evaluators.errors import InternalError, OverloadedError
from heatproof.server.workers.attempts import Attempts, Queue, Seat
from heatproof.server.workers.grants import granted_cores, granted_memory
from heatproof.server.workers.handle import WorkerProcess
from heatproof.server.workers.messages import WorkerSettings
from heatproof.server.workers.protocol import (
    Done,
    Event,
    Failed,
    Lane,
    Partial,
    Task,
    Workers,
)

P = TypeVar("P")
V = TypeVar("V")

_BULK_NICENESS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """How many workers there are and what they may use.

    Attributes:
        bulk_workers: workers for shards; the one for interactive tasks comes on top.
        threads: threads a network may use; 0 shares the granted cores among the bulk workers.
        memory_bytes: resident memory at which a worker is killed; 0 is 7/8 of what is granted.
        memory_poll_seconds: time between two looks at the memory.
        grace_seconds: time a worker has to obey a cancellation before it is killed.
        max_waiting: interactive tasks that may wait.
        retry_seconds: when a refused caller should try again.
        max_model_bytes: size of a model's files.
        max_image_pixels: pixels of an image.
        preload: whether workers start and load their libraries before the first task comes.
    """

    bulk_workers: int = 1
    threads: int = 0
    memory_bytes: int = 0
    memory_poll_seconds: float = 0.2
    grace_seconds: float = 10.0
    max_waiting: int = 64
    retry_seconds: float = 5.0
    max_model_bytes: int = 4 << 30
    max_image_pixels: int = 100_000_000
    preload: bool = True

    def granted(self) -> Self:
        """The same with the zeros replaced by what this machine grants."""
        cores = max(1, granted_cores() // self.bulk_workers)
        memory = granted_memory() * 7 // 8
        return replace(
            self, threads=self.threads or cores, memory_bytes=self.memory_bytes or memory
        )

    def worker(self, niceness: int) -> WorkerSettings:
        """What one worker is told."""
        return WorkerSettings(
            threads=self.threads,
            niceness=niceness,
            max_model_bytes=self.max_model_bytes,
            max_image_pixels=self.max_image_pixels,
            preload=self.preload,
        )


class WorkerPool(Workers):
    """Runs every task in a process of its lane; used in one event loop."""

    def __init__(self, settings: PoolSettings) -> None:
        self._settings = settings = settings.granted()
        self._background: set[asyncio.Task[None]] = set()
        self._lanes = {
            Lane.INTERACTIVE: Queue((self._seat(niceness=0),)),
            Lane.BULK: Queue(
                tuple(self._seat(niceness=_BULK_NICENESS) for _ in range(settings.bulk_workers))
            ),
        }

    async def __aenter__(self) -> Self:
        for lane in self._lanes.values():
            for seat in lane.seats:
                lane.free.put_nowait(seat)
                if self._settings.preload:
                    seat.worker()
        self._spawn(self._watch_memory())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        for process in self._processes():
            await process.close()

    async def run(
        self, task: Task[P, V], *, lane: Lane = Lane.INTERACTIVE, seconds: float | None = None
    ) -> AsyncGenerator[Event[P, V], None]:
        """Runs a task, see `Workers.run`."""
        queue = self._lanes[lane]
        self._admit(queue, lane)
        deadline = None if seconds is None else asyncio.get_running_loop().time() + seconds
        attempts = Attempts(task, deadline, self._settings.memory_bytes)
        try:
            seat = await queue.get(deadline)
        except TimeoutError:
            yield Failed(attempts.late())
            return
        try:
            async with aclosing(attempts.events(seat)) as events:
                async for event in events:
                    yield event
        except TimeoutError:
            yield Failed(attempts.late())
        finally:
            self._spawn(self._release(queue, seat))

    async def stream(
        self, task: Task[P, V], *, lane: Lane = Lane.INTERACTIVE, seconds: float | None = None
    ) -> AsyncGenerator[P, None]:
        """Runs a task for its partial results, see `Workers.stream`."""
        async with aclosing(self.run(task, lane=lane, seconds=seconds)) as events:
            async for event in events:
                if isinstance(event, Partial):
                    yield event.value
                elif isinstance(event, Failed):
                    raise event.error

    async def call(
        self, task: Task[P, V], *, lane: Lane = Lane.INTERACTIVE, seconds: float | None = None
    ) -> V:
        """Runs a task for its value, see `Workers.call`."""
        async with aclosing(self.run(task, lane=lane, seconds=seconds)) as events:
            async for event in events:
                if isinstance(event, Done):
                    return event.value
                if isinstance(event, Failed):
                    raise event.error
        raise InternalError(f"{type(task).__name__} ended without a result")

    def _seat(self, niceness: int) -> Seat:
        return Seat(lambda: WorkerProcess(self._settings.worker(niceness)))

    def _admit(self, queue: Queue, lane: Lane) -> None:
        # Bulk work is put off by the queue of evaluations, which survives a restart.
        if lane is Lane.INTERACTIVE and queue.waiting >= self._settings.max_waiting:
            raise OverloadedError(
                f"{queue.waiting} {lane} tasks wait already; try again later",
                metadata={"retry_delay_seconds": f"{self._settings.retry_seconds:g}"},
            )

    async def _release(self, queue: Queue, seat: Seat) -> None:
        """Frees a seat once its worker has stopped working for a caller who may be gone."""
        try:
            if seat.process is not None:
                await seat.process.stop(self._settings.grace_seconds)
        finally:
            queue.free.put_nowait(seat)

    async def _watch_memory(self) -> None:
        while True:
            await asyncio.sleep(self._settings.memory_poll_seconds)
            for process in self._processes():
                process.check_memory(self._settings.memory_bytes)

    def _processes(self) -> list[WorkerProcess]:
        seats = (seat for lane in self._lanes.values() for seat in lane.seats)
        return [seat.process for seat in seats if seat.process is not None]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
