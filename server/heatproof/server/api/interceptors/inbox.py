"""What the messages that arrive, and those that are being handled, may take of the memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from heatproof.evaluators.errors import DeadlineExceededError, OverloadedError

_RETRY_SECONDS: Final = 2


class Arrivals:
    """Lets a few requests arrive at a time, for their size is known only when they are here.

    While others wait, each has only the time of the patience: neither slow clients nor those that
    send nothing keep the quick ones out.
    """

    def __init__(self, *, places: int, patience_seconds: float, idle_seconds: float) -> None:
        self._places = asyncio.Semaphore(places)
        self._patience = min(patience_seconds, idle_seconds)
        self._idle = idle_seconds
        self._waiting = 0
        self._arriving: dict[asyncio.Timeout, float] = {}

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[None]:
        """Holds a place while a request arrives.

        Raises:
            DeadlineExceededError: it does not arrive in time.
        """
        await self._enter()
        limit = asyncio.timeout(self._patience if self._waiting else self._idle)
        try:
            async with limit:
                self._arriving[limit] = asyncio.get_running_loop().time()
                yield
        except TimeoutError as error:
            raise silent(self._idle) from error
        finally:
            self._arriving.pop(limit, None)
            self._places.release()

    async def _enter(self) -> None:
        self._waiting += 1
        try:
            if self._places.locked():
                self._hurry()
            await self._places.acquire()
        finally:
            self._waiting -= 1

    def _hurry(self) -> None:
        """Shortens the time of all that are arriving."""
        now = asyncio.get_running_loop().time()
        for limit, start in self._arriving.items():
            soon = max(now, start + self._patience)
            if not limit.expired() and (limit.when() or soon) > soon:
                limit.reschedule(soon)


def silent(seconds: float) -> DeadlineExceededError:
    """Says that a client sends nothing."""
    return DeadlineExceededError(
        f"the request did not arrive within {seconds:g} s, or not while others waited; send it "
        "again without pauses"
    )


class Budget:
    """Bytes of the messages that are being handled."""

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._held = 0
        self._released = asyncio.Condition()

    @asynccontextmanager
    async def __call__(self, size: int, wait_seconds: float = 0) -> AsyncIterator[None]:
        """Holds the bytes of a message; a single one always fits.

        Raises:
            OverloadedError: others hold too many, even after the wait.
        """
        if not self._fits(size):
            await self._wait(size, wait_seconds)
        self._held += size
        try:
            yield
        finally:
            self._held -= size
            async with self._released:
                self._released.notify_all()

    def _fits(self, size: int) -> bool:
        return not self._held or self._held + size <= self._max

    async def _wait(self, size: int, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds), self._released:
                await self._released.wait_for(lambda: self._fits(size))
        except TimeoutError as error:
            raise OverloadedError(
                f"requests of {self._held} bytes are being handled, and {size} more pass the "
                f"{self._max} of this server; retry in {_RETRY_SECONDS} s",
                metadata={"retry_delay_seconds": str(_RETRY_SECONDS)},
            ) from error
