"""Evaluates a few images while their sender waits; stores nothing."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from heatproof.evaluators.errors import DeadlineExceededError, InvalidArgumentError, placed
from heatproof.evaluators.evaluation.engine import shards as shards_of
from heatproof.evaluators.evaluation.plan import resolved_spec, result_keys
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.images.inventory import Inventory
from heatproof.server.evaluations.columns import EvaluationColumns, HeldShards, summarized
from heatproof.server.evaluations.creation import found_models
from heatproof.server.evaluations.documents import EvaluationDocuments
from heatproof.server.evaluations.environment import Environment
from heatproof.server.evaluations.runs.shard_run import ShardRun
from heatproof.server.evaluations.store.records import ShardRows, State, StoredEvaluation
from heatproof.server.models.model_store import ModelStore
from heatproof.server.workers.donors import DonorPool
from heatproof.server.workers.inputs import StoredImage
from heatproof.server.workers.protocol import Lane, Workers
from heatproof.server.workers.shard_results import ImageRow
from heatproof.server.workers.tasks import PlanEvaluation, PlannedWork, RunShard

MAX_INLINE_IMAGES: Final = 16
MAX_PREDICTIONS: Final = 5_000
MAX_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class InlineEvaluation:
    """An evaluation that was never stored.

    Attributes:
        evaluation: as if it were stored, without a name.
        images: results of the images, in their order.
    """

    evaluation: StoredEvaluation
    images: tuple[ImageRow, ...]


class InlineEvaluations:
    """Evaluates a few images at once."""

    def __init__(
        self,
        models: ModelStore,
        workers: Workers,
        environment: Environment,
        documents: EvaluationDocuments,
    ) -> None:
        self._documents = documents
        self._models = models
        self._workers = workers
        self._environment = environment

    async def evaluate(
        self, spec: EvaluationSpec, images: Sequence[StoredImage]
    ) -> InlineEvaluation:
        """Evaluates images with interactive priority.

        Raises:
            InvalidArgumentError: too much for an answer on the spot, or a wrong spec.
            DeadlineExceededError: it took longer than `MAX_SECONDS`.
        """
        _check_request(spec, images)
        create_time = datetime.now(UTC)
        try:
            async with asyncio.timeout(MAX_SECONDS):
                return await self._evaluate(spec, tuple(images), create_time)
        except TimeoutError:
            raise DeadlineExceededError(
                f"Evaluate takes at most {MAX_SECONDS:g} s; upload the images with UploadDataset "
                "and call CreateEvaluation"
            ) from None

    async def _evaluate(
        self, spec: EvaluationSpec, images: tuple[StoredImage, ...], create_time: datetime
    ) -> InlineEvaluation:
        with placed("spec"):
            models = await asyncio.to_thread(found_models, spec, self._models)
            inventory = Inventory.of(image.known for image in images)
            spec = resolved_spec(spec, inventory)
            plan = await self._workers.call(PlanEvaluation(spec, models, inventory))
        each = _checked(plan.predictions) // max(len(images), 1)
        whole = RunShard(spec, models, _supplied(images, spec), predictions=each)
        finished = await self._shards(whole)
        rows = tuple(row for shard in finished for row in shard.images)
        environment = await self._described(plan, finished)
        written = self._documents.serialized_spec(spec)
        results = await self._summarized(finished, written, environment, len(result_keys(spec)))
        evaluation = StoredEvaluation(
            number=0,
            name="",
            spec=written,
            dataset="",
            state=State.SUCCEEDED,
            error=b"",
            create_time=create_time,
            end_time=datetime.now(UTC),
            images_total=len(images),
            images_done=len(rows),
            predictions_total=plan.predictions,
            predictions_done=sum(shard.predictions for shard in finished),
            results=results,
            environment=environment,
            predictions_known=sum(shard.known for shard in finished),
        )
        return InlineEvaluation(evaluation, rows)

    async def _described(self, plan: PlannedWork, finished: Sequence[ShardRows]) -> bytes:
        """What computed the shards, and what is known of the models."""
        environment = self._documents.serialized_environment(await self._environment.describe())
        ways = tuple(way for shard in finished for way in shard.ways_run)
        return self._documents.with_ways_run(environment + plan.model_facts, ways)

    async def _summarized(
        self, finished: Sequence[ShardRows], spec: bytes, environment: bytes, results: int
    ) -> bytes:
        lane = Lane.INTERACTIVE
        columns = EvaluationColumns(self._workers, spec, (HeldShards(finished),), lane=lane)
        return await summarized(
            self._workers, columns, spec, environment, results=results, lane=lane
        )

    async def _shards(self, whole: RunShard) -> list[ShardRows]:
        """Computes the shards that a durable evaluation would have."""
        finished = []
        for number, positions in enumerate(shards_of(len(whole.images))):
            images = whole.images[positions.start : positions.stop]
            task = replace(whole, images=images, positions=tuple(positions))
            run = ShardRun(number, task, "")
            await run.compute(self._workers, lane=Lane.INTERACTIVE)
            finished.append(run.rows())
        return finished


def _check_request(spec: EvaluationSpec, images: Sequence[StoredImage]) -> None:
    if spec.dataset:
        raise InvalidArgumentError(
            "Evaluate takes its images from the request; leave dataset empty, or call "
            "CreateEvaluation",
            field="spec.dataset",
        )
    if spec.units:
        raise InvalidArgumentError(
            "Evaluate evaluates all images of the request: send fewer, or upload them with "
            "UploadDataset and call CreateEvaluation, which takes units",
            field="spec.units",
        )
    if len(images) > MAX_INLINE_IMAGES:
        raise InvalidArgumentError(
            f"Evaluate takes at most {MAX_INLINE_IMAGES} images, not {len(images)}; upload them "
            "with UploadDataset and call CreateEvaluation",
            field="images",
        )


def _supplied(images: Sequence[StoredImage], spec: EvaluationSpec) -> tuple[StoredImage, ...]:
    """The images, each with the other ones that the spec reads."""
    return DonorPool.of(images, spec.seed, spec.registered).supplied(images)


def _checked(predictions: int) -> int:
    if predictions > MAX_PREDICTIONS:
        raise InvalidArgumentError(
            f"this needs up to {predictions} predictions, Evaluate makes at most "
            f"{MAX_PREDICTIONS}; upload the images with UploadDataset and call CreateEvaluation",
            field="spec",
        )
    return predictions
