"""The places of a lane, and who sits there."""

import asyncio
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from heatproof.server.workers.local.handle import Cause, WorkerProcess
from heatproof.server.workers.protocol import Task


@dataclass(slots=True, eq=False)
class WorkerSlot:
    """A place for one worker, which may die and be replaced.

    Attributes:
        start: starts a worker.
        process: the worker, once there is one.
        busy: whether a task has the slot.
        unused_seconds: time since a task had it.
    """

    start: Callable[[], WorkerProcess]
    process: WorkerProcess | None = None
    busy: bool = False
    unused_seconds: float = 0.0

    @property
    def warm(self) -> bool:
        """Whether a worker waits here."""
        return self.process is not None and self.process.alive

    def worker(self, task: Task[Any, Any] | None = None) -> WorkerProcess:
        """The living worker of this place, or a fresh one if that has other models than a task."""
        if self.process is not None and task is not None and self._is_strange(task):
            self.process.kill(Cause.CLOSED)
        if self.process is None or not self.process.alive:
            self.process = self.start()
        return self.process

    def _is_strange(self, task: Task[Any, Any]) -> bool:
        held = frozenset[str]() if self.process is None else self.process.models
        return task.is_kept() and not held <= task.models_loaded()


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
