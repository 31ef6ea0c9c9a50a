"""Tells how far a shard is."""

from dataclasses import dataclass, field
from threading import Lock

from heatproof.evaluators.evaluation.engine import Progress
from heatproof.server.workers.execution.context import TaskContext
from heatproof.server.workers.tasks import RunShard


@dataclass(slots=True)
class ProgressReporter:
    """Tells the server which images are in work, so that a crash can be blamed on them.

    Images are fetched in another thread than batches are noted in.

    Attributes:
        task: the shard that is evaluated.
        context: where it is told.
        lock: held while a step is told.
        fetched: images whose decoding has begun.
        done: images that have a result.
        predictions: rows answered.
        known: those of them that were known.
    """

    task: RunShard
    context: TaskContext
    lock: Lock = field(default_factory=Lock)
    fetched: int = 0
    done: int = 0
    predictions: int = 0
    known: int = 0

    def fetch(self, index: int) -> None:
        """Notes that an image is about to be decoded, beside the passes of those before it."""
        with self.lock:
            beside = f", predicting {self._in_work()}" if self.done < self.fetched else ""
            self.fetched = index + 1
            self._report(f"decoding image {self._name(index)}{beside}")

    def note(self, progress: Progress) -> None:
        """Notes that a batch is done."""
        with self.lock:
            self.done, self.predictions = progress.images_done, progress.predictions_done
            self.known = progress.predictions_known
            self._report(f"predicting {self._in_work()}")

    def _in_work(self) -> str:
        first, last = min(self.done, self.fetched - 1), self.fetched - 1
        others = f" to {self._name(last)}" if last > first else ""
        return f"image {self._name(first)}{others}"

    def _report(self, step: str) -> None:
        done = {"predictions": self.predictions, "images": self.done, "known": self.known}
        self.context.report(step, **done)

    def _name(self, index: int) -> str:
        image = self.task.images[index]
        return f"{self.task.position(index)} {image.display_name!r} ({image.digest[:12]})"
