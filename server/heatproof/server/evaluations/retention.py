"""Deletes evaluations that ended long ago."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from heatproof.server.evaluations.store.evaluation_store import EvaluationStore

_log = structlog.get_logger()

_HOUR: Final = 3600.0
_STEADY: Final = timedelta(days=1)
"""Time for which the clock must have gone steadily before anything is deleted after a leap."""
_LEAP: Final = timedelta(hours=1)


@asynccontextmanager
async def deleting_old(
    store: EvaluationStore, *, days: int, interval_seconds: float = _HOUR
) -> AsyncIterator[None]:
    """Deletes, every hour, the evaluations that ended more than `days` days ago; 0: none."""
    old = _delete_forever(store, timedelta(days=days), interval_seconds)
    work = asyncio.create_task(old) if days else old.close()
    try:
        yield
    finally:
        if work is not None:
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work


async def _delete_forever(store: EvaluationStore, age: timedelta, interval_seconds: float) -> None:
    clock = SteadyClock()
    while True:
        now = clock.now()
        if now is not None:
            await _delete(store, now - age)
        await asyncio.sleep(interval_seconds)


async def _delete(store: EvaluationStore, time: datetime) -> None:
    try:
        count = await asyncio.to_thread(store.delete_ended_before, time)
    except Exception:  # noqa: BLE001  # a full or failing disk: the next round tries again
        _log.exception("cannot delete old evaluations")
        return
    if count:
        _log.info("deleted old evaluations", count=count)


def _since_boot() -> timedelta:
    """Time that nobody sets; it counts sleep where the system tells."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return timedelta(seconds=time.clock_gettime(clock))


@dataclass(slots=True)
class SteadyClock:
    """The time of day, unless somebody has set it: a leap into the future makes everything old.

    Attributes:
        wall: tells the time of day.
        elapsed: tells the time since some moment, which cannot be set.
    """

    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    elapsed: Callable[[], timedelta] = _since_boot
    _start: datetime | None = field(default=None, init=False)
    _leapt: timedelta | None = field(default=None, init=False)

    def now(self) -> datetime | None:
        """The time, or None for a day after a leap of more than an hour."""
        wall, elapsed = self.wall(), self.elapsed()
        start = wall - elapsed
        if self._start is not None and abs(start - self._start) > _LEAP:
            _log.warning("the clock has been set: old evaluations are kept for a day")
            self._leapt = elapsed
        self._start = start
        is_steady = self._leapt is None or elapsed - self._leapt >= _STEADY
        return wall if is_steady else None
