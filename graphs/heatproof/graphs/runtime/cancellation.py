"""Stops a run of ONNX Runtime from another thread."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import onnxruntime as ort

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
        self._running: set[ort.RunOptions] = set()

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled

    def cancel(self) -> None:
        """Stops what runs under this handle; idempotent, from any thread."""
        with self._lock:
            self._cancelled = True
            for options in self._running:
                options.terminate = True

    def check(self) -> None:
        """Returns at once unless cancelled.

        Raises:
            CancelledError: `cancel` was called.
        """
        if self._cancelled:
            raise CancelledError("the work was cancelled by its caller")

    @contextmanager
    def run(self) -> Iterator[ort.RunOptions]:
        """Options for one pass, which `cancel` reaches while the context is open.

        Raises:
            CancelledError: before the pass if cancelled already, after it if cancelled meanwhile.
        """
        options = ort.RunOptions()
        with self._lock:
            self.check()
            self._running.add(options)
        try:
            yield options
        except Exception:
            # A terminated pass fails with a generic error of ONNX Runtime.
            self.check()
            raise
        finally:
            with self._lock:
                self._running.discard(options)
                self.passes += 1
