from dataclasses import dataclass, field
from typing import Any, cast

from heatproof.evaluators.evaluation.engine import Progress as EngineProgress
from heatproof.server.workers.execution.context import TaskContext
from heatproof.server.workers.execution.progress import ProgressReporter
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
    steps: list[str] = field(default_factory=list)
    counts: list[dict[str, int]] = field(default_factory=list)

    def report(self, step: str, **counts: int) -> None:
        self.steps.append(step.replace(" (abababababab)", ""))
        self.counts.append(counts)


def test_steps_name_every_image_that_a_crash_may_come_from() -> None:
    told = Told()
    reporter = ProgressReporter(cast("RunShard", Shard()), cast("TaskContext", cast("Any", told)))
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
