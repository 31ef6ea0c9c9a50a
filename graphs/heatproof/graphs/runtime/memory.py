"""What passes add to the memory of this process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil


def resident_bytes() -> int:
    """Memory of this process that is in use now."""
    return int(psutil.Process().memory_info().rss)


class Buffers:
    """What the passes of a session allocate, which grows with the rows that run at once.

    Attributes:
        nbytes: what they have added to this process.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = self._most = 0
        self._counted = 0
        self.nbytes = 0

    @contextmanager
    def watched(self, rows: int) -> Iterator[None]:
        """Counts what a pass adds with which more rows run at once than before."""
        with self._lock:
            self._running += rows
            before = resident_bytes() if self._running > self._most else None
            self._most = max(self._most, self._running)
        try:
            yield
        finally:
            with self._lock:
                self._running -= rows
                if before is not None:
                    self._count(before)

    def _count(self, before: int) -> None:
        """Adds what came since a pass began, but for what another one has counted since."""
        now = resident_bytes()
        self.nbytes += max(now - max(before, self._counted), 0)
        self._counted = now
