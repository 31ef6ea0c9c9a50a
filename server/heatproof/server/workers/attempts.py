"""One task on its way through a lane: its deadline, its attempts, and who is to blame."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from heatproof.evaluators.errors import (
    CancelledError,
    DeadlineExceededError,
    HeatproofError,
    LimitExceededError,
    WorkerCrashedError,
)
from heatproof.server.workers.handle import Died, WorkerProcess
from heatproof.server.workers.protocol import Done, Event, Failed, Partial, Progress, Task

_MEBIBYTE: Final = 1 << 20
_DEATHS: Final = 2
"""Workers that a task may kill before it is given up."""


@dataclass(slots=True)
class Seat:
    """A place for one worker, which may die and be replaced.

    Attributes:
        start: starts a worker.
        process: the worker, once there is one.
    """

    start: Callable[[], WorkerProcess]
    process: WorkerProcess | None = None

    def worker(self) -> WorkerProcess:
        """The living worker of this place."""
        if self.process is None or not self.process.alive:
            self.process = self.start()
        return self.process


@dataclass(slots=True)
class Queue:
    """The free seats of a lane; who comes first is served first.

    Attributes:
        seats: all seats.
        free: those without a task.
        waiting: how many tasks wait for one.
    """

    seats: tuple[Seat, ...]
    free: asyncio.Queue[Seat] = field(default_factory=asyncio.Queue)
    waiting: int = 0

    async def get(self, deadline: float | None) -> Seat:
        """Waits for a seat.

        Raises:
            TimeoutError: the deadline of the event loop's clock has passed.
        """
        self.waiting += 1
        try:
            async with asyncio.timeout_at(deadline):
                return await self.free.get()
        finally:
            self.waiting -= 1


class Attempts:
    """Runs one task until it ends, at most once more after its worker has died."""

    def __init__(self, task: Task[Any, Any], deadline: float | None, memory_bytes: int) -> None:
        self._task = task
        self._deadline = deadline
        self._memory_bytes = memory_bytes
        self._step = "start"
        self._delivered = 0
        self._deaths = 0

    async def events(self, seat: Seat) -> AsyncGenerator[Event[Any, Any], None]:
        """Yields the events of all attempts as if there were one.

        Raises:
            TimeoutError: the deadline has passed; the worker still works.
        """
        error: HeatproofError | None = None
        while error is None:
            known = self._delivered
            signals = seat.worker().assign(self._task)
            while True:
                async with asyncio.timeout_at(self._deadline):
                    signal = await signals.get()
                if isinstance(signal, Died):
                    error = self._blame(signal)
                    break
                if isinstance(signal, Partial) and known:
                    known -= 1  # an attempt yields what the one before has yielded
                    continue
                self._note(signal)
                yield signal
                if isinstance(signal, Done | Failed):
                    return
        yield Failed(error)

    def late(self) -> DeadlineExceededError:
        """Says that the deadline has passed."""
        return DeadlineExceededError(
            f"{self._name} was not done by its deadline; it was at: {self._step}",
            metadata={"step": self._step},
        )

    @property
    def _name(self) -> str:
        return type(self._task).__name__

    def _note(self, event: Event[Any, Any]) -> None:
        if isinstance(event, Partial):
            self._delivered += 1
        elif isinstance(event, Progress):
            self._step = event.step

    def _blame(self, death: Died) -> HeatproofError | None:
        """The error of a task whose worker died, or None if it deserves another attempt."""
        if death.closed:
            return CancelledError(f"{self._name} was stopped with the server; try again")
        if death.over_memory:
            return self._hunger() if death.fresh else None
        self._deaths += 1
        return self._crash(death) if self._deaths == _DEATHS else None

    def _hunger(self) -> LimitExceededError:
        limit = self._memory_bytes // _MEBIBYTE
        return LimitExceededError(
            f"{self._name} needs more memory than the {limit} MiB a worker may use; it was at: "
            f"{self._step}; use smaller images or models, or raise the server's limit",
            metadata={"step": self._step, "limit_mebibytes": str(limit)},
        )

    def _crash(self, death: Died) -> WorkerCrashedError:
        return WorkerCrashedError(
            f"two workers died on {self._name}, the last one {death.how}, at: {self._step}; "
            "leave out this image or model, and report the crash",
            metadata={"step": self._step, "death": death.how},
        )
