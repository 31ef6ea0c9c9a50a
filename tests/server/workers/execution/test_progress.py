from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from heatproof.evaluators.errors import CancelledError
from heatproof.evaluators.evaluation.engine import Progress as EngineProgress
from heatproof.graphs.runtime import Cancellation
from heatproof.server.workers.execution.context import TaskContext
from heatproof.server.workers.execution.progress import INTERVAL_SECONDS, ProgressReporter
from heatproof.server.workers.tasks import RunShard


@dataclass
class Image:
    display_name: str
    digest: str = "ab" * 32


@dataclass
class Shard:
    """Images 4, 5, 6 of a set."""

    images: tuple[Image, ...] = (Image("a"), Image("b"), Image("c"))

    def position(self, index: int) -> int:
        return 4 + index


@dataclass
class Told:
    cancellation: Cancellation = field(default_factory=Cancellation)
    steps: list[str] = field(default_factory=list)
    counts: list[dict[str, int]] = field(default_factory=list)

    def report(self, step: str, **counts: int) -> None:
        self.steps.append(step.replace(" (abababababab)", ""))
        self.counts.append(counts)


def reporter_of(told: Told, clock: Callable[[], float] = lambda: 0.0) -> ProgressReporter:
    context = cast("TaskContext", cast("Any", told))
    return ProgressReporter(cast("RunShard", Shard()), context, clock)


def test_steps_name_every_image_that_a_crash_may_come_from() -> None:
    told = Told()
    reporter = reporter_of(told)
    reporter.fetch(0)
    reporter.note(EngineProgress(0, 2, 0))
    reporter.fetch(1)
    reporter.fetch(2)
    reporter.note(EngineProgress(1, 9, 3))
    reporter.note(EngineProgress(3, 20, 3))
    assert told.steps == [
        "decoding image 4 'a'",
        "predicting image 4 'a'",
        "decoding image 5 'b', predicting image 4 'a'",
        "decoding image 6 'c', predicting image 4 'a' to 5 'b'",
        "predicting image 5 'b' to 6 'c'",
        "predicting image 6 'c'",
    ]
    assert told.counts[-1] == {"predictions": 20, "images": 3, "known": 3}
    assert told.counts[2] == {"predictions": 2, "images": 0, "known": 0}


def test_batches_of_the_same_images_are_told_now_and_then() -> None:
    told, now = Told(), 0.0
    reporter = reporter_of(told, lambda: now)
    reporter.fetch(0)
    for place in range(8):
        now = place * INTERVAL_SECONDS / 2
        reporter.note(EngineProgress(0, 2 * place, 0))
    assert [counts["predictions"] for counts in told.counts] == [0, 0, 4, 8, 12]
    reporter.fetch(1)  # from here on another image may be at fault
    reporter.note(EngineProgress(0, 16, 0))
    assert told.steps[-1] == "predicting image 4 'a' to 5 'b'"


def test_a_cancellation_is_noticed_at_every_batch() -> None:
    told = Told()
    reporter = reporter_of(told)
    reporter.fetch(0)
    reporter.note(EngineProgress(0, 2, 0))
    told.cancellation.cancel()
    with pytest.raises(CancelledError):
        reporter.note(EngineProgress(0, 4, 0))
