"""What a task finds around it in its worker."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from heatproof.graphs.runtime.cancellation import Cancellation
from heatproof.server.workers.documents import WorkerDocuments
from heatproof.server.workers.file_access import FileAccess
from heatproof.server.workers.protocol import NewAnswers, Partial, Progress

if TYPE_CHECKING:
    from heatproof.server.workers.execution.model_cache import (
        ModelCache,  # loads what a worker needs for seconds
    )


@dataclass(frozen=True, slots=True)
class TaskContext:
    """The place where one task runs.

    Attributes:
        cancellation: set from another thread to stop the task.
        send: sends an event to the server.
        open_model_cache: finds the model cache of the worker.
        documents: reads and writes messages of the contract.
        blobs: finds what tasks name by digest.
    """

    cancellation: Cancellation
    send: Callable[[Progress | NewAnswers | Partial[Any]], None]
    open_model_cache: "Callable[[], ModelCache]"
    documents: WorkerDocuments
    blobs: FileAccess

    @property
    def model_cache(self) -> "ModelCache":
        """The models and networks that are kept ready between tasks."""
        return self.open_model_cache()

    def emit(self, value: object) -> None:
        """Hands over a partial result."""
        self.send(Partial(value))

    def report(self, step: str, *, predictions: int = 0, images: int = 0, known: int = 0) -> None:
        """Says what comes next, so that a crash can be blamed on it; raises when cancelled.

        Raises:
            CancelledError: the task was cancelled.
        """
        self.cancellation.check()
        self.send(Progress(step, predictions, images, known))
