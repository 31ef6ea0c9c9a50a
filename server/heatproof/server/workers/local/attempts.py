"""One task on its way through a lane: its time, its attempts, and who is to blame."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Final

from heatproof.evaluators.errors import (
    CancelledError,
    DeadlineExceededError,
    HeatproofError,
    LimitExceededError,
    WorkerCrashedError,
)
from heatproof.server.workers.limits import Allowance
from heatproof.server.workers.local.handle import Cause, Died, Signal
from heatproof.server.workers.local.mailbox import Mailbox
from heatproof.server.workers.local.messages import Begun
from heatproof.server.workers.local.slots import WorkerSlot
from heatproof.server.workers.protocol import Done, Event, Failed, Partial, Progress, Task

_MEBIBYTE: Final = 1 << 20
_DEATHS: Final = 2
"""Workers that a task may kill before it is given up."""


class Attempts:
    """Runs one task until it ends, at most once more after its worker has died.

    All attempts together have the time of one.
    """

    def __init__(
        self,
        task: Task[Any, Any],
        deadline: float | None,
        *,
        allowance: Allowance,
        silence_seconds: float,
        memory_bytes: int,
    ) -> None:
        self._task = task
        self._deadline = deadline
        self._allowance = allowance
        self._silence_seconds = silence_seconds
        self._end: float | None = None
        self._memory_bytes = memory_bytes
        self._step = "start"
        self._delivered = 0
        self._deaths = 0

    async def events(self, slot: WorkerSlot) -> AsyncGenerator[Event[Any, Any], None]:
        """Yields the events of all attempts as if there were one.

        Raises:
            TimeoutError: the time is over; the worker still works.
        """
        error: HeatproofError | None = None
        while error is None:
            known = self._delivered
            signals = slot.worker(self._task).assign(self._task, self._allowance.seconds)
            while True:
                signal = await self._next(signals)
                if isinstance(signal, Died):
                    error = self._blame(signal)
                    break
                if isinstance(signal, Begun):
                    self._begin()
                    continue
                if isinstance(signal, Partial) and known:
                    known -= 1  # an attempt yields what the one before has yielded
                    continue
                self._note(signal)
                yield signal
                if isinstance(signal, Done | Failed):
                    return
        yield Failed(error)

    def late(self) -> DeadlineExceededError:
        """Says that the time is over."""
        if self._end is None or (self._deadline is not None and self._deadline < self._end):
            return DeadlineExceededError(
                f"{self._name} was not done by its deadline; it was at: {self._step}",
                metadata={"step": self._step},
            )
        seconds, variable = f"{self._allowance.seconds:.3g}", _variable(self._allowance.setting)
        return DeadlineExceededError(
            f"{self._name} was not done within the {seconds} s that this server gives it, and was "
            f"stopped at: {self._step}; use {self._task.way_out}, or raise {variable}",
            metadata={"step": self._step, "limit_seconds": seconds, "setting": variable},
        )

    @property
    def _name(self) -> str:
        return type(self._task).__name__

    async def _next(self, signals: Mailbox[Signal]) -> Signal:
        ends = [end for end in (self._deadline, self._end) if end is not None]
        async with asyncio.timeout_at(min(ends, default=None)):
            return await signals.get()

    def _begin(self) -> None:
        """Starts the clock: the wait for a worker and its start are nobody's fault."""
        if self._end is None:
            self._end = asyncio.get_running_loop().time() + self._allowance.seconds

    def _note(self, event: Event[Any, Any]) -> None:
        if isinstance(event, Partial):
            self._delivered += 1
        elif isinstance(event, Progress):
            self._step = event.step

    def _blame(self, death: Died) -> HeatproofError | None:
        """The error of a task whose worker died, or None if it deserves another attempt."""
        match death.cause:
            case Cause.CLOSED:
                return CancelledError(f"{self._name} was stopped with the server; try again")
            case Cause.MEMORY:
                return self._hunger() if death.fresh else None
            case Cause.SILENCE:
                return self._stall()
            case Cause.PROCESSOR:
                return self.late()
            case Cause.GARBAGE:
                return self._crash("its worker", death)
        self._deaths += 1
        return self._crash("the last of two workers", death) if self._deaths == _DEATHS else None

    def _hunger(self) -> LimitExceededError:
        limit = self._memory_bytes // _MEBIBYTE
        return LimitExceededError(
            f"{self._name} needs more memory than the {limit} MiB that all workers together may "
            f"use; it was at: {self._step}; use {self._task.way_out}, or raise "
            f"{_variable('worker_memory_bytes')}",
            metadata={"step": self._step, "limit_mebibytes": str(limit)},
        )

    def _stall(self) -> DeadlineExceededError:
        seconds, variable = f"{self._silence_seconds:.3g}", _variable("silence_seconds")
        return DeadlineExceededError(
            f"{self._name} made no progress for {seconds} s, at: {self._step}; use "
            f"{self._task.way_out}, or raise {variable}",
            metadata={"step": self._step, "limit_seconds": seconds, "setting": variable},
        )

    def _crash(self, who: str, death: Died) -> WorkerCrashedError:
        return WorkerCrashedError(
            f"{self._name} was given up: {who} {death.how}, at: {self._step}; leave out this image "
            "or model, and report the crash",
            metadata={"step": self._step, "death": death.how},
        )


def _variable(setting: str) -> str:
    return f"HEATPROOF_{setting.upper()}"
