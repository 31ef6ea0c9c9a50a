"""Judges ended evaluations."""

import asyncio
from dataclasses import replace
from typing import TypeAlias

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.column_blocks import blocks_of
from heatproof.evaluators.evaluation.plan import result_keys
from heatproof.evaluators.gate.soundness import compared_results
from heatproof.server.evaluations.columns import IMAGES, EvaluationColumns, StoredShards
from heatproof.server.evaluations.documents import EvaluationDocuments
from heatproof.server.evaluations.store.evaluation_store import EvaluationStore
from heatproof.server.evaluations.store.records import StoredEvaluation
from heatproof.server.resource_names import EvaluationName
from heatproof.server.workers.protocol import Lane, Workers
from heatproof.server.workers.statistics_tasks import Judge, RecordedEvaluation, TabulatedEvaluation

Baseline: TypeAlias = str | RecordedEvaluation | None
"""Another model of the same evaluation, a recorded evaluation, or nothing."""


class Gates:
    """Judges ended evaluations by policies; stores nothing."""

    def __init__(
        self, store: EvaluationStore, workers: Workers, documents: EvaluationDocuments
    ) -> None:
        self._documents = documents
        self._store = store
        self._workers = workers

    async def judge(
        self, name: EvaluationName, model: str, policy: bytes, baseline: Baseline
    ) -> bytes:
        """Judges one model of an evaluation; returns a serialised `Verdict`.

        Args:
            name: the evaluation.
            model: the candidate; "" if there is only one.
            policy: serialised `Policy`.
            baseline: what regressions are measured against.

        Raises:
            NotFoundError: there is no evaluation of this name.
            FailedPreconditionError: it has not succeeded, or the baseline differs in more than
                its model.
            InvalidArgumentError: the policy is wrong, or a model is none of the evaluation's.
        """
        stored = await asyncio.to_thread(self._store.get, name)
        stored.require_success("judged")
        spec = self._documents.read_spec(stored.spec)
        chosen = _chosen(model, spec.models)
        other: str | None = None
        if isinstance(baseline, str):
            other = _known(baseline, spec.models, field="baseline_model")
        compared = compared_results(
            self._documents.read_policy(policy),
            spec,
            {chosen, other or chosen},
            has_baseline=baseline is not None,
        )
        candidate = await self._tabulated(stored, chosen, compared, len(result_keys(spec)))
        held = None if isinstance(baseline, str) else baseline
        against = replace(candidate, model=other) if other is not None else held
        return await self._workers.call(Judge(policy, candidate, against))

    async def _tabulated(
        self, stored: StoredEvaluation, model: str, compared: frozenset[int], results: int
    ) -> TabulatedEvaluation:
        """An evaluation with the scores of the results that are compared."""
        shards = (StoredShards(self._store, stored.number, asyncio.to_thread),)
        columns = EvaluationColumns(self._workers, stored.spec, shards, lane=Lane.INTERACTIVE)
        images = await columns.block(IMAGES)
        scores = {
            span.start: await columns.block(block)
            for block, span in enumerate(blocks_of(results), IMAGES + 1)
            if not compared.isdisjoint(span)
        }
        evaluation = await asyncio.to_thread(self._documents.serialized_evaluation, stored)
        return TabulatedEvaluation(model, evaluation, images, scores)


def _chosen(model: str, models: tuple[str, ...]) -> str:
    if model:
        return _known(model, models, field="model")
    if len(models) != 1:
        raise InvalidArgumentError(
            f"the evaluation has {len(models)} models; set model to the candidate", field="model"
        )
    return models[0]


def _known(model: str, models: tuple[str, ...], *, field: str) -> str:
    if model not in models:
        raise InvalidArgumentError(
            f"{model!r} is no model of the evaluation; its models: {', '.join(models)}",
            field=field,
        )
    return model
