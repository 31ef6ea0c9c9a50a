"""Writes that wait for a disk which is full or fails."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

import structlog

from heatproof.evaluators.errors import (
    HeatproofError,
    OverloadedError,
    StorageFailedError,
    StorageFullError,
)

_log = structlog.get_logger()

T = TypeVar("T")

TRANSIENT: Final = (StorageFullError, StorageFailedError, OverloadedError)
"""What may go away by itself, or by a hand that makes room."""


@dataclass(frozen=True, slots=True)
class Persistence:
    """How long and how often the stores are tried.

    Attributes:
        patience_seconds: time after which an evaluation that cannot go on is given up.
        first_seconds: time before the second try; each later one waits twice as long ...
        longest_seconds: ... up to this.
    """

    patience_seconds: float = 30.0
    first_seconds: float = 0.1
    longest_seconds: float = 5.0

    async def patiently(self, work: Callable[[], T]) -> T:
        """Does blocking work off the event loop, again and again until it succeeds.

        Raises:
            HeatproofError: what the storage still fails with when the patience ends, or anything
                that waiting does not mend.
        """
        end = time.monotonic() + self.patience_seconds
        for delay in self._delays():
            try:
                return await asyncio.to_thread(work)
            except TRANSIENT as error:
                if time.monotonic() + delay > end:
                    raise
                _note(error, delay)
            await asyncio.sleep(delay)
        raise AssertionError  # the delays do not end

    async def at_all_costs(self, work: Callable[[], T]) -> T:
        """Does blocking work off the event loop until it succeeds, whatever it fails with."""
        for delay in self._delays():
            try:
                return await asyncio.to_thread(work)
            except TRANSIENT as error:
                _note(error, delay)
            except Exception:  # noqa: BLE001  # the state stays in memory; its keeper must not die
                _log.exception("unexpected error while storing")
            await asyncio.sleep(delay)
        raise AssertionError  # the delays do not end

    def _delays(self) -> Iterator[float]:
        delay = self.first_seconds
        while True:
            yield delay
            delay = min(2 * delay, self.longest_seconds)


def _note(error: HeatproofError, delay: float) -> None:
    _log.warning("storing is tried again", reason=error.reason, seconds=delay)
