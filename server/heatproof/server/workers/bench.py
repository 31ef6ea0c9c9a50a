"""What a task finds around it in its worker."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from heatproof.graphs.runtime import Cancellation
from heatproof.server.workers.protocol import Partial, Progress


@dataclass(frozen=True, slots=True)
class Bench:
    """The place where one task runs.

    Attributes:
        cancellation: set from another thread to stop the task.
        threads: threads a network may use.
        send: sends an event to the server.
    """

    cancellation: Cancellation
    threads: int
    send: Callable[[Progress | Partial[Any]], None]

    def emit(self, value: object) -> None:
        """Hands over a partial result."""
        self.send(Partial(value))

    def report(self, step: str, *, predictions: int = 0, images: int = 0) -> None:
        """Says what comes next, so that a crash can be blamed on it; raises when cancelled.

        Raises:
            CancelledError: the task was cancelled.
        """
        self.cancellation.check()
        self.send(Progress(step, predictions, images))
