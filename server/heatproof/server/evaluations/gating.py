"""Judges ended evaluations."""

import asyncio
from typing import TypeAlias

from heatproof.evaluators.errors import FailedPreconditionError, InvalidArgumentError
from heatproof.server.evaluations.documents import EvaluationDocuments
from heatproof.server.evaluations.store.evaluation_store import EvaluationStore
from heatproof.server.evaluations.store.records import State, StoredEvaluation
from heatproof.server.resource_names import EvaluationName
from heatproof.server.workers.protocol import Workers
from heatproof.server.workers.tasks import Judge, RecordedEvaluation

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
        _require_success(stored)
        models = self._documents.read_spec(stored.spec).models
        candidate = await asyncio.to_thread(self._recorded, stored, _chosen(model, models))
        if isinstance(baseline, str):
            other = _known(baseline, models, field="baseline_model")
            baseline = RecordedEvaluation(other, candidate.evaluation, candidate.images)
        return await self._workers.call(Judge(policy, candidate, baseline))

    def _recorded(self, stored: StoredEvaluation, model: str) -> RecordedEvaluation:
        images = self._store.all_image_rows(stored.number, "basic")
        return RecordedEvaluation(model, self._documents.serialized_evaluation(stored), images)


def _require_success(stored: StoredEvaluation) -> None:
    if stored.state is not State.SUCCEEDED:
        raise FailedPreconditionError(
            f"{stored.name} is {stored.state}; only an evaluation that has succeeded can be judged",
            field="name",
        )


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
