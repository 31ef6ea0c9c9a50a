"""Tells how far a shard is."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from heatproof.evaluators.evaluation.engine import Progress
from heatproof.server.workers.execution.context import TaskContext
from heatproof.server.workers.tasks import RunShard

INTERVAL_SECONDS: Final = 0.05
"""Between two reports of batches while the same images are in work."""


@dataclass(slots=True)
class ProgressReporter:
    """Tells the server which images are in work, so that a crash can be blamed on them.

    Images are fetched in another thread than batches are noted in.

    Attributes:
        task: the shard that is evaluated.
        context: where it is told.
        clock: seconds that only grow.
        lock: held while a step is told.
        fetched: images whose decoding has begun.
        done: images that have a result.
        predictions: rows answered.
        known: those of them that were known.
        told: the first and the last image of the last report of a batch.
        due: when the next one is to be sent, though the images are the same.
    """

    task: RunShard
    context: TaskContext
    clock: Callable[[], float] = time.monotonic
    lock: Lock = field(default_factory=Lock)
    fetched: int = 0
    done: int = 0
    predictions: int = 0
    known: int = 0
    told: tuple[int, int] | None = None
    due: float = 0.0

    def fetch(self, index: int) -> None:
        """Notes that an image is about to be decoded, beside the passes of those before it."""
        with self.lock:
            beside = f", predicting {self._in_work()}" if self.done < self.fetched else ""
            self.fetched = index + 1
            self._report(f"decoding image {self._name(index)}{beside}")

    def note(self, progress: Progress) -> None:
        """Notes that a batch is done, and tells it now and then."""
        self.context.cancellation.check()
        with self.lock:
            self.done, self.predictions = progress.images_done, progress.predictions_done
            self.known = progress.predictions_known
            if self._span == self.told and self.clock() < self.due:
                return
            self._report(f"predicting {self._in_work()}")
            self.told, self.due = self._span, self.clock() + INTERVAL_SECONDS

    @property
    def _span(self) -> tuple[int, int]:
        return min(self.done, self.fetched - 1), self.fetched - 1

    def _in_work(self) -> str:
        first, last = self._span
        others = f" to {self._name(last)}" if last > first else ""
        return f"image {self._name(first)}{others}"

    def _report(self, step: str) -> None:
        done = {"predictions": self.predictions, "images": self.done, "known": self.known}
        self.context.report(step, **done)

    def _name(self, index: int) -> str:
        image = self.task.images[index]
        return f"{self.task.position(index)} {image.display_name!r} ({image.digest[:12]})"
