"""Ended evaluations as verdicts read them: what was asked, and columns of scores."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from heatproof.evaluators.evaluation.column_blocks import blocks_of
from heatproof.evaluators.evaluation.plan import result_keys
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.server.evaluations.columns import IMAGES, EvaluationColumns, StoredShards
from heatproof.server.evaluations.documents import EvaluationDocuments
from heatproof.server.evaluations.store.evaluation_store import EvaluationStore
from heatproof.server.evaluations.store.records import StoredEvaluation
from heatproof.server.workers.protocol import Lane, Workers
from heatproof.server.workers.statistics_tasks import TabulatedEvaluation


@dataclass(frozen=True, slots=True)
class Tabulation:
    """Reads ended evaluations.

    Attributes:
        store: the stored evaluations.
        workers: make the columns of shards that have none.
        documents: reads and writes messages.
    """

    store: EvaluationStore
    workers: Workers
    documents: EvaluationDocuments

    def spec(self, stored: StoredEvaluation) -> EvaluationSpec:
        """What was asked."""
        return self.documents.read_spec(stored.spec)

    async def tabulated(
        self, stored: StoredEvaluation, model: str, compared: Collection[int], label: str
    ) -> TabulatedEvaluation:
        """An evaluation with the scores of the results that are compared.

        Args:
            stored: the evaluation.
            model: the model that is judged.
            compared: indices of the results.
            label: what it goes by as a baseline.
        """
        shards = (StoredShards(self.store, stored.number, asyncio.to_thread),)
        columns = EvaluationColumns(self.workers, stored.spec, shards, lane=Lane.INTERACTIVE)
        images = await columns.block(IMAGES)
        results = len(result_keys(self.spec(stored)))
        scores = {
            span.start: await columns.block(block)
            for block, span in enumerate(blocks_of(results), IMAGES + 1)
            if not frozenset(compared).isdisjoint(span)
        }
        evaluation = await asyncio.to_thread(self.documents.serialized_evaluation, stored)
        return TabulatedEvaluation(model, evaluation, images, scores, label)
