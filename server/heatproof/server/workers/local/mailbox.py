"""Signals on their way from the thread that reads a worker's pipe to the event loop."""

import asyncio
import threading
from collections import deque
from typing import Generic, TypeVar

S = TypeVar("S")

MAX_UNREAD = 8
"""Unread signals of a task; a worker that sends more waits."""

ROOM_BYTES = 64 << 20
"""Bytes of unread signals, likewise; one signal may be larger."""


class Mailbox(Generic[S]):
    """A queue of few places: one thread fills it, and the event loop empties it.

    So neither a worker that sends without end nor a caller who does not read can fill the memory.
    """

    def __init__(self) -> None:
        self._signals: asyncio.Queue[S] = asyncio.Queue()
        self._change = threading.Condition()
        self._unread: deque[int] = deque()
        self._bounded = self._read = True

    @property
    def empty(self) -> bool:
        """Whether all signals have been read."""
        return self._signals.empty()

    def reserve(self, size_bytes: int) -> None:
        """Waits for a place; at once once the mailbox is open to all. Not in the event loop."""
        with self._change:
            self._change.wait_for(lambda: not self._bounded or self._has_room(size_bytes))
            self._unread.append(size_bytes)

    def _has_room(self, size_bytes: int) -> bool:
        fits = sum(self._unread) + size_bytes <= ROOM_BYTES
        return not self._unread or (fits and len(self._unread) < MAX_UNREAD)

    def put(self, signal: S) -> None:
        """Adds a signal, for which a place has been reserved unless it is the last one."""
        if self._read:
            self._signals.put_nowait(signal)

    async def get(self) -> S:
        """Waits for the next signal."""
        signal = await self._signals.get()
        with self._change:
            if self._unread:  # the last signal has no place
                self._unread.popleft()
            self._change.notify()
        return signal

    def open_to_all(self) -> None:
        """Lets the thread go on, however many signals are unread: it sends its last ones."""
        with self._change:
            self._bounded = False
            self._change.notify_all()

    def abandon(self) -> None:
        """Drops what comes, for nobody will read it."""
        self._read = False
        self._signals = asyncio.Queue()
        self.open_to_all()
