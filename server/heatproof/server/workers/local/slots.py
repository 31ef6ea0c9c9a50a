"""The places of a lane, and who sits there."""

import asyncio
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from heatproof.server.workers.local.handle import Cause, WorkerProcess
from heatproof.server.workers.protocol import Task

_MOST_RESTING: Final = 3
"""Workers that rest beside one that works: two models, compared with each other again and again,
take three, one for each and one for both."""


@dataclass(slots=True, eq=False)
class WorkerSlot:
    """A place where one worker works at a time, which may die and be replaced.

    One that has run other models than a task whose words are kept gives way to one that has not,
    and rests: models that take turns would else be loaded anew with each turn.

    Attributes:
        start: starts a worker.
        process: the worker of the last task, once there is one.
        resting: workers with other models, the one that has rested for longest first, and for how
            many seconds each has.
        busy: whether a task has the slot.
        unused_seconds: time since a task had it.
    """

    start: Callable[[], WorkerProcess]
    process: WorkerProcess | None = None
    resting: dict[WorkerProcess, float] = field(default_factory=dict)
    busy: bool = False
    unused_seconds: float = 0.0

    @property
    def warm(self) -> bool:
        """Whether a worker waits here."""
        return self.process is not None and self.process.alive

    def worker(self, task: Task[Any, Any] | None = None) -> WorkerProcess:
        """The living worker of this place that suits a task best, or a fresh one if none does."""
        if task is not None:
            self._seat(self._best(task))
        if self.process is None or not self.process.alive:
            self.process = self.start()
        return self.process

    @property
    def seated(self) -> tuple[WorkerProcess, ...]:
        """All workers of this place, the one of the last task first."""
        first = () if self.process is None else (self.process,)
        return (*first, *reversed(self.resting))

    def rest(self, seconds: float, most_seconds: float) -> None:
        """Lets time pass; workers that have rested for longer than the most end."""
        for process, rested in list(self.resting.items()):
            self.resting[process] = rested + seconds
            if self.resting[process] > most_seconds or not process.alive:
                self._end(process)

    def _best(self, task: Task[Any, Any]) -> WorkerProcess | None:
        """The worker that has most of the models of a task, and none other if that matters."""
        wanted = task.models_loaded()
        suitable = [
            process
            for process in self.seated
            if process.alive and (not task.is_kept() or process.models <= wanted)
        ]
        return max(suitable, key=lambda process: len(process.models & wanted), default=None)

    def _seat(self, process: WorkerProcess | None) -> None:
        if self.process is not process and self.process is not None and self.process.alive:
            self.resting[self.process] = 0.0
        if process is not None:
            self.resting.pop(process, None)
        self.process = process
        while len(self.resting) > _MOST_RESTING:
            self._end(next(iter(self.resting)))

    def _end(self, process: WorkerProcess) -> None:
        process.kill(Cause.CLOSED)
        del self.resting[process]


@dataclass(slots=True)
class SlotQueue:
    """The free slots of a lane.

    Who comes first is served first, from the slot that was used last: its worker is running and
    knows the models of late, while the slots behind it stay empty until they are needed.

    Attributes:
        slots: all slots.
        waiting: how many tasks wait for one.
    """

    slots: tuple[WorkerSlot, ...]
    waiting: int = 0
    _free: "asyncio.PriorityQueue[tuple[bool, int, int]]" = field(
        default_factory=asyncio.PriorityQueue
    )
    _uses: "Iterable[int]" = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        for index in reversed(range(len(self.slots))):
            self._offer(index)

    @property
    def has_idle(self) -> bool:
        """Whether a worker waits here for a task."""
        return any(slot.warm and not slot.busy for slot in self.slots)

    async def get(self, deadline: float | None) -> WorkerSlot:
        """Waits for a slot.

        Raises:
            TimeoutError: the deadline of the event loop's clock has passed.
        """
        self.waiting += 1
        try:
            async with asyncio.timeout_at(deadline):
                _, _, index = await self._free.get()
        finally:
            self.waiting -= 1
        slot = self.slots[index]
        slot.busy = True
        return slot

    def put(self, slot: WorkerSlot) -> None:
        """Frees a slot."""
        slot.busy, slot.unused_seconds = False, 0.0
        self._offer(self.slots.index(slot))

    def _offer(self, index: int) -> None:
        use = next(iter(self._uses))
        self._free.put_nowait((not self.slots[index].warm, -use, index))
