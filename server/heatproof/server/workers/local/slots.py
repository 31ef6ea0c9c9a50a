"""The places of a lane, and who sits there."""

import asyncio
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from heatproof.server.workers.local.handle import WorkerProcess


@dataclass(slots=True, eq=False)
class Seat:
    """A place for one worker, which may die and be replaced.

    Attributes:
        start: starts a worker.
        process: the worker, once there is one.
        busy: whether a task has the seat.
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

    def worker(self) -> WorkerProcess:
        """The living worker of this place."""
        if self.process is None or not self.process.alive:
            self.process = self.start()
        return self.process


@dataclass(slots=True)
class SeatQueue:
    """The free seats of a lane.

    Who comes first is served first, from the seat that was used last: its worker is running and
    knows the models of late, while the seats behind it stay empty until they are needed.

    Attributes:
        seats: all seats.
        waiting: how many tasks wait for one.
    """

    seats: tuple[Seat, ...]
    waiting: int = 0
    _free: "asyncio.PriorityQueue[tuple[bool, int, int]]" = field(
        default_factory=asyncio.PriorityQueue
    )
    _uses: "Iterable[int]" = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        for index in reversed(range(len(self.seats))):
            self._offer(index)

    async def get(self, deadline: float | None) -> Seat:
        """Waits for a seat.

        Raises:
            TimeoutError: the deadline of the event loop's clock has passed.
        """
        self.waiting += 1
        try:
            async with asyncio.timeout_at(deadline):
                _, _, index = await self._free.get()
        finally:
            self.waiting -= 1
        seat = self.seats[index]
        seat.busy = True
        return seat

    def put(self, seat: Seat) -> None:
        """Frees a seat."""
        seat.busy, seat.unused_seconds = False, 0.0
        self._offer(self.seats.index(seat))

    def _offer(self, index: int) -> None:
        use = next(iter(self._uses))
        self._free.put_nowait((not self.seats[index].warm, -use, index))
