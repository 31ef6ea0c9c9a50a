"""Stops a run of a network from another thread."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from heatproof.evaluators.errors import CancelledError


class Cancellation:
    """A handle that one thread cancels and others work under.

    Once cancelled it stays so: running passes end between two nodes, later ones do not start.

    Attributes:
        passes: passes that have ended.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled = False
        self.passes = 0
        self._running: dict[int, Callable[[], object]] = {}

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled

    def cancel(self) -> None:
        """Stops what runs under this handle; idempotent, from any thread."""
        with self._lock:
            self._cancelled = True
            for stop in self._running.values():
                stop()

    def check(self) -> None:
        """Returns at once unless cancelled.

        Raises:
            CancelledError: `cancel` was called.
        """
        if self._cancelled:
            raise CancelledError("the work was cancelled by its caller")

    @contextmanager
    def run(self, stop: Callable[[], object]) -> Iterator[None]:
        """One pass, which `cancel` stops while the context is open.

        Args:
            stop: ends the pass, which then raises; it may come before the pass has begun.

        Raises:
            CancelledError: before the pass if cancelled already, after it if cancelled meanwhile.
        """
        with self._lock:
            self.check()
            self._running[id(stop)] = stop
        try:
            yield
        except Exception:
            # A stopped pass fails with a generic error of its runtime.
            self.check()
            raise
        finally:
            with self._lock:
                del self._running[id(stop)]
                self.passes += 1
