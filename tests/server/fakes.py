"""Workers without processes: scores are a function of the image's digest."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from heatproof.evaluators.errors import HeatproofError
from heatproof.evaluators.evaluation.column_blocks import written
from heatproof.evaluators.evaluation.plan import result_keys
from heatproof.evaluators.evaluation.results import (
    ClassProbability,
    CleanPrediction,
    ImageResult,
    ImageScore,
    Overlay,
)
from heatproof.evaluators.evaluation.tabulation import Tabulation
from heatproof.evaluators.outcomes import Curve
from heatproof.server.api.codec import worker_documents
from heatproof.server.api.codec.evaluations import image_row
from heatproof.server.workers.execution import statistics
from heatproof.server.workers.execution.context import TaskContext
from heatproof.server.workers.inputs import Blob, StoredImage
from heatproof.server.workers.protocol import (
    Done,
    Failed,
    Lane,
    Partial,
    Progress,
    Task,
    Workers,
)
from heatproof.server.workers.statistics_tasks import (
    CheckPolicy,
    Judge,
    LookAt,
    SummarizeImages,
    SummarizeScores,
    TabulateRecord,
    TabulateRows,
)
from heatproof.server.workers.tasks import (
    DescribeEnvironment,
    PlanEvaluation,
    PlannedWork,
    RunShard,
    ShardTotals,
)
from tests.server.world import PREDICTIONS_PER_IMAGE


@dataclass
class FakeWorkers(Workers):
    """Runs shards image by image, as far as it is let.

    Attributes:
        held: shards go no further while this is given and not set ...
        held_after: ... once so many images were computed in all.
        predicted_before: predictions that are told before the first image of a shard.
        error: what the shard of `failing` fails with after its first image.
        failing: first image of the shard that fails.
        shards: how often the shard with this first image was started.
        computed: digests of the images computed, in order.
    """

    held: asyncio.Event | None = None
    held_after: int = 0
    predicted_before: int = 0
    error: HeatproofError | None = None
    failing: int = 0
    shards: Counter[int] = field(default_factory=Counter)
    computed: list[str] = field(default_factory=list)

    def go(self) -> None:
        """Lets the shards go on."""
        assert self.held is not None
        self.held.set()

    async def run(
        self,
        task: Task[Any, Any],
        *,
        lane: Lane = Lane.INTERACTIVE,
        seconds: float | None = None,  # noqa: ARG002 - the seam's signature
    ) -> AsyncGenerator[Any, None]:
        if not isinstance(task, RunShard):
            yield _answer(task)
            return
        self.shards[task.position(0)] += 1
        assert lane is Lane.BULK
        yield Progress("start", self.predicted_before)
        tabulation = Tabulation(task.spec)
        for done, image in enumerate(task.images, 1):
            if self.held is not None and len(self.computed) >= self.held_after:
                await self.held.wait()
            await asyncio.sleep(0)
            yield Progress(f"image {image.display_name}", PREDICTIONS_PER_IMAGE * done, done)
            result = fake_result(task, image)
            tabulation.add(result)
            yield Partial(image_row(result))
            self.computed.append(image.digest)
            if self.error is not None and task.position(0) == self.failing:
                yield Failed(self.error)
                return
        predictions = PREDICTIONS_PER_IMAGE * len(task.images)
        ways = (f"models/m: plain {2 + 2 * bool(task.position(0))} x 3 x 1",)
        yield Done(ShardTotals(predictions, written(tabulation.columns()), ways_run=ways))


def fake_result(task: RunShard, image: StoredImage) -> ImageResult:
    """Results of one image for every result key of the spec."""
    value = int(image.digest[:8], 16) / 2**32 + task.spec.seed
    curve = Curve((0.0, 1.0), (value, 0.0))
    return ImageResult(
        image=image.digest,
        display_name=image.display_name,
        label=image.label,
        predictions=tuple(
            CleanPrediction(model, 1, (ClassProbability(1, value / (1 + value)),))
            for model in task.spec.models
        ),
        scores=tuple(
            ImageScore(index, value + index, {}, {"curve": curve})
            for index in range(len(result_keys(task.spec)))
        ),
        overlays=(Overlay(task.spec.models[0], task.spec.explainers[0], b"png", 0.0, 1.0),),
    )


_STATISTICS: dict[type[Task[Any, Any]], Callable[[Any, TaskContext], Any]] = {
    TabulateRecord: statistics.tabulate_record,
    TabulateRows: statistics.tabulate_rows,
    SummarizeImages: statistics.summarize_images,
    SummarizeScores: statistics.summarize_scores,
    CheckPolicy: statistics.check_policy,
    Judge: statistics.judge,
    LookAt: statistics.look_at,
}


def _answer(task: Task[Any, Any]) -> Done[Any] | Failed:
    match task:
        case PlanEvaluation():
            return Done(PlannedWork(PREDICTIONS_PER_IMAGE * task.inventory.images))
        case DescribeEnvironment():
            return Done({"heatproof": "fake"})
    context = TaskContext(
        _NeverCancelled(),  # type: ignore[arg-type]  # a cancellation loads ONNX
        lambda _: None,
        _no_model_cache,
        worker_documents,
        _NoBlobs(),
    )
    try:
        return Done(_STATISTICS[type(task)](task, context))
    except HeatproofError as error:
        return Failed(error)


class _NeverCancelled:
    def check(self) -> None:
        """Never raises."""


class _NoBlobs:
    def path(self, blob: Blob) -> Path:
        raise AssertionError(blob)


def _no_model_cache() -> Any:
    raise AssertionError
