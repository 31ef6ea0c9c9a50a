"""Says which metrics of ended evaluations deserve trust."""

import asyncio
from collections.abc import AsyncIterator

from heatproof.evaluators.errors import FailedPreconditionError, InvalidArgumentError
from heatproof.evaluators.evaluation.column_blocks import blocks_of
from heatproof.evaluators.evaluation.plan import result_keys
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.reliability.trials import require_held, require_triable, trials_of
from heatproof.server.evaluations.columns import IMAGES, EvaluationColumns, StoredShards
from heatproof.server.evaluations.documents import EvaluationDocuments
from heatproof.server.evaluations.store.evaluation_store import EvaluationStore
from heatproof.server.evaluations.store.records import StoredEvaluation
from heatproof.server.resource_names import EvaluationName
from heatproof.server.workers.protocol import Lane, Workers
from heatproof.server.workers.statistics_tasks import AssessMetrics


class Assessments:
    """Says which metrics of ended evaluations deserve trust; stores nothing."""

    def __init__(
        self, store: EvaluationStore, workers: Workers, documents: EvaluationDocuments
    ) -> None:
        self._documents = documents
        self._store = store
        self._workers = workers

    async def assess(self, name: EvaluationName) -> AsyncIterator[bytes]:
        """Yields serialised `MetricReliability` messages, model by model.

        Raises:
            NotFoundError: there is no evaluation of this name.
            FailedPreconditionError: it has not succeeded, or lacks what metrics are tested by.
        """
        stored = await asyncio.to_thread(self._store.get, name)
        stored.require_success("assessed")
        spec = self._documents.read_spec(stored.spec)
        _require_assessable(stored, spec)
        for model in spec.models:
            found = await self._workers.call(await self._task(stored, spec, model))
            for data in found.reliabilities:
                yield data

    async def _task(
        self, stored: StoredEvaluation, spec: EvaluationSpec, model: str
    ) -> AssessMetrics:
        """The scores of the model's trials."""
        shards = (StoredShards(self._store, stored.number, asyncio.to_thread),)
        columns = EvaluationColumns(self._workers, stored.spec, shards, lane=Lane.INTERACTIVE)
        wanted = {place for trial in trials_of(spec, model) for place in trial.results}
        blocks = enumerate(blocks_of(len(result_keys(spec))), IMAGES + 1)
        scores = {
            span.start: await columns.block(block)
            for block, span in blocks
            if not wanted.isdisjoint(span)
        }
        return AssessMetrics(stored.spec, model, await columns.block(IMAGES), scores)


def _require_assessable(stored: StoredEvaluation, spec: EvaluationSpec) -> None:
    try:
        require_triable(spec)
        require_held(spec, stored.images_total)
    except InvalidArgumentError as error:
        raise FailedPreconditionError(
            f"{stored.name} cannot tell which metrics to trust: {error.field}: {error.message}",
            field="name",
        ) from error
