"""Workers as processes on this machine.

Tasks that somebody waits for have workers of their own beside the bulk workers, and uploaded
models are inspected in a third lane: an upload or a small evaluation never waits behind a long
shard, and a model that hangs or kills its inspector stops nothing else. Every worker may use all
cores; bulk workers give way to the others by their niceness. All share one budget of memory.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from heatproof.evaluators.errors import OverloadedError
from heatproof.server.workers.limits import Effort, Limits, WorkerSettings
from heatproof.server.workers.local.attempts import Attempts
from heatproof.server.workers.local.grants import granted_cores, granted_memory
from heatproof.server.workers.local.handle import Cause, WorkerProcess
from heatproof.server.workers.local.sandbox.confinement import Confinement
from heatproof.server.workers.local.slots import SlotQueue, WorkerSlot
from heatproof.server.workers.protocol import (
    DocumentCheck,
    Event,
    Failed,
    Lane,
    Task,
    Workers,
)

P = TypeVar("P")
V = TypeVar("V")

_BULK_NICENESS: Final = 5

_SESSION_BYTES: Final = 4 << 30
"""What a worker keeps ready at most, if the budget of memory is four times as large or more."""

_SPARE_BYTES: Final = 2 << 30
"""What a single worker may ask for beyond the budget of all before the kernel refuses: the watch,
which says what is wrong, comes first, but for what grows faster than it looks."""

_REWRITTEN: Final = 4
"""A rewritten model has at most so many times the bytes of the largest model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """How many workers there are and what they may use.

    Attributes:
        bulk_workers: workers for shards.
        interactive_workers: most workers for tasks that somebody waits for.
        inspection_workers: most workers for models that are uploaded.
        threads: threads a network may use; 0 shares the granted cores among the bulk workers.
        batch_rows: rows that one run of a network takes; 0: the fastest of a few.
        provider: what runs networks, as the setting of the same name.
        views: what draws the views of an image, as the setting of the same name.
        memory_bytes: memory at which the largest worker is killed, of all workers together; 0 is
            7/8 of what is granted.
        data_dir: folder whose blobs tasks name.
        answers_dir: folder of the answers that are kept.
        limits: how large models and images may be, and how long tasks may take.
        poll_seconds: time between two looks at the workers.
        patience_seconds: time that a slot waits for its worker to obey a cancellation.
        grace_seconds: time after which a worker that has not obeyed is killed.
        idle_seconds: time after which a worker without tasks ends, but for the first of each lane,
            and after which one ends that rests while others of its place have the tasks.
        max_waiting: tasks that may wait in each lane but the bulk.
        retry_seconds: when a refused caller should try again.
        confinement: the sandbox of the workers; only interactive ones write in its folders.
        preload: whether the first workers start and load their libraries before any task comes.
        share: whether idle bulk workers take the tasks of lanes whose own workers are not there;
            so a server of one user starts one process where it would start three.
    """

    bulk_workers: int = 1
    interactive_workers: int = 3
    inspection_workers: int = 2
    threads: int = 0
    batch_rows: int = 0
    provider: str = "cpu"
    views: str = "auto"
    memory_bytes: int = 0
    data_dir: Path = Path()
    answers_dir: Path = Path()
    limits: Limits = field(default_factory=Limits)
    poll_seconds: float = 0.2
    patience_seconds: float = 0.5
    grace_seconds: float = 10.0
    idle_seconds: float = 60.0
    max_waiting: int = 64
    retry_seconds: float = 5.0
    confinement: Confinement = field(default_factory=Confinement)
    preload: bool = True
    share: bool = False

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
            batch_rows=self.batch_rows,
            provider=self.provider,
            views=self.views,
            niceness=niceness,
            session_bytes=min(_SESSION_BYTES, self.memory_bytes // 4),
            data_dir=self.data_dir,
            answers_dir=self.answers_dir,
            limits=self.limits,
            preload=self.preload,
            pulse_seconds=min(1.0, self.limits.tasks.unresponsive_seconds / 4),
        )

    def confined(self, lane: Lane) -> Confinement:
        """The sandbox of the workers of a lane."""
        return replace(
            self.confinement,
            writable=self.confinement.writable if lane is Lane.INTERACTIVE else (),
            data_bytes=self.memory_bytes + _SPARE_BYTES,
            file_bytes=_REWRITTEN * self.limits.max_model_bytes,
        )

    def workers(self, lane: Lane) -> int:
        """Most workers of a lane."""
        return {
            Lane.INTERACTIVE: self.interactive_workers,
            Lane.INSPECTION: self.inspection_workers,
            Lane.BULK: self.bulk_workers,
        }[lane]


class WorkerPool(Workers):
    """Runs every task in a process of its lane; used in one event loop.

    `check` reads the documents that workers send, whose bytes nobody trusts.
    """

    def __init__(self, settings: PoolSettings, check: DocumentCheck) -> None:
        self._check = check
        self._settings = settings.granted()
        self._background: set[asyncio.Task[None]] = set()
        self._retired: set[WorkerProcess] = set()
        self._lanes = {
            lane: SlotQueue(tuple(self._slot(lane) for _ in range(settings.workers(lane))))
            for lane in Lane
        }

    async def __aenter__(self) -> Self:
        if self._settings.preload:
            for slot in self._preloaded():
                slot.worker()
        self._spawn(self._watch())
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
        queue = self._queue(task, lane)
        self._admit(queue, lane)
        deadline = None if seconds is None else asyncio.get_running_loop().time() + seconds
        attempts = self._attempts(task, lane, deadline)
        try:
            slot = await queue.get(deadline)
        except TimeoutError:
            yield Failed(attempts.late())
            return
        try:
            async with aclosing(attempts.events(slot)) as events:
                async for event in events:
                    yield event
        except TimeoutError:
            yield Failed(attempts.late())
        finally:
            self._release(queue, slot)

    def _preloaded(self) -> Iterator[WorkerSlot]:
        for lane, queue in self._lanes.items():
            if lane is Lane.BULK:
                yield from queue.slots
            elif not self._settings.share:
                yield queue.slots[0]

    def _queue(self, task: Task[Any, Any], lane: Lane) -> SlotQueue:
        """The slots that a task waits for: of its lane, or of bulk workers with nothing to do."""
        own, bulk = self._lanes[lane], self._lanes[Lane.BULK]
        writes = task.effort is Effort.REWRITING  # which the sandbox grants to one lane alone
        is_lent = self._settings.share and not writes and not own.has_idle and bulk.has_idle
        return bulk if is_lent else own

    def _slot(self, lane: Lane) -> WorkerSlot:
        niceness = _BULK_NICENESS if lane is Lane.BULK else 0
        told, confined = self._settings.worker(niceness), self._settings.confined(lane)
        return WorkerSlot(lambda: WorkerProcess(told, confined, self._check))

    def _attempts(self, task: Task[P, V], lane: Lane, deadline: float | None) -> Attempts:
        limits = self._settings.limits.tasks
        awaited = lane is not Lane.BULK
        return Attempts(
            task,
            deadline,
            allowance=limits.allowance(task.effort, task.amount(), awaited=awaited),
            silence_seconds=limits.silence_seconds,
            memory_bytes=self._settings.memory_bytes,
        )

    def _admit(self, queue: SlotQueue, lane: Lane) -> None:
        # Bulk work is put off by the queue of evaluations, which survives a restart.
        if lane is not Lane.BULK and queue.waiting >= self._settings.max_waiting:
            raise OverloadedError(
                f"{queue.waiting} {lane} tasks wait already; try again later",
                metadata={"retry_delay_seconds": f"{self._settings.retry_seconds:g}"},
            )

    def _release(self, queue: SlotQueue, slot: WorkerSlot) -> None:
        """Frees a slot: at once, unless its worker still works for a caller who is gone."""
        if slot.process is None or slot.process.idle.is_set():
            queue.put(slot)
        else:
            self._spawn(self._await_obedience(queue, slot, slot.process))

    async def _await_obedience(
        self, queue: SlotQueue, slot: WorkerSlot, process: WorkerProcess
    ) -> None:
        """Frees a slot for its worker, or for a successor if that does not stop soon."""
        try:
            if not await process.obeys(self._settings.patience_seconds):
                slot.process = None
                self._retire(queue, slot, process)
        finally:
            queue.put(slot)

    def _retire(self, queue: SlotQueue, slot: WorkerSlot, process: WorkerProcess) -> None:
        self._retired.add(process)
        # Whoever cancels what cannot be cancelled, again and again, must not fill the machine.
        crowded = len(self._retired) > len(queue.slots)
        grace = 0.0 if crowded else self._settings.grace_seconds
        self._spawn(self._await_end(slot, process, grace))

    async def _await_end(self, slot: WorkerSlot, process: WorkerProcess, grace: float) -> None:
        """Lets a retired worker back to its slot if it obeys and the slot is empty."""
        try:
            if await process.obeys(grace) and process.alive and not slot.busy and not slot.warm:
                slot.process = process
            else:
                await process.close(Cause.DISOBEDIENCE)
        finally:
            self._retired.discard(process)

    async def _watch(self) -> None:
        """Looks after the workers, at short intervals."""
        clock, poll = asyncio.get_running_loop().time, self._settings.poll_seconds
        last = clock()
        while True:
            await asyncio.sleep(poll)
            # When the whole server has stood still, its workers are not to blame.
            passed, last = min(clock() - last, 2 * poll), clock()
            for process in self._processes():
                process.watch(passed, self._settings.limits.tasks)
            self._end_unused(passed)
            self._relieve()

    def _end_unused(self, passed: float) -> None:
        for queue in self._lanes.values():
            for slot in queue.slots:
                slot.rest(passed, self._settings.idle_seconds)
            for slot in queue.slots[1:]:
                slot.unused_seconds += passed
                unused = not slot.busy and slot.unused_seconds > self._settings.idle_seconds
                if unused and slot.process is not None and queue is not self._lanes[Lane.BULK]:
                    slot.process.kill(Cause.CLOSED)
                    slot.process = None

    def _relieve(self) -> None:
        """Kills the largest worker when all hold too much: an idle one if that is enough."""
        held = {process: process.memory_bytes for process in self._processes() if process.alive}
        excess = sum(held.values()) - self._settings.memory_bytes
        if excess <= 0:
            return
        idle = [process for process in held if process.idle.is_set()]
        busy = [process for process in held if not process.idle.is_set()]
        enough = sum(held[process] for process in idle) > excess
        victims = idle if enough or not busy else busy
        max(victims, key=held.__getitem__).kill(Cause.MEMORY)

    def _processes(self) -> list[WorkerProcess]:
        slots = (slot for lane in self._lanes.values() for slot in lane.slots)
        return [*(process for slot in slots for process in slot.seated), *self._retired]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
