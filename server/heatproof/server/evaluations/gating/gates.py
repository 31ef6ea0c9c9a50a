"""Judges ended evaluations."""

import asyncio
from dataclasses import replace
from typing import TypeAlias

from heatproof.evaluators.errors import placed
from heatproof.evaluators.gate.policy import Policy
from heatproof.evaluators.gate.soundness import compared_results
from heatproof.server.evaluations.gating.baselines import Baselines
from heatproof.server.evaluations.gating.models import chosen_model, known_model
from heatproof.server.evaluations.gating.tabulation import Tabulation
from heatproof.server.resource_names import BaselineReference, EvaluationName
from heatproof.server.workers.statistics_tasks import Judge, RecordedEvaluation, TabulatedEvaluation

Baseline: TypeAlias = str | RecordedEvaluation | BaselineReference | None
"""Another model of the same evaluation, a recorded evaluation, a named baseline, or nothing."""


class Gates:
    """Judges ended evaluations by policies; stores nothing."""

    def __init__(self, tabulation: Tabulation, baselines: Baselines) -> None:
        self._tabulation = tabulation
        self._baselines = baselines

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
            NotFoundError: there is no evaluation of this name, no such baseline, or the evaluation
                of that has been deleted.
            FailedPreconditionError: it has not succeeded, or the baseline differs in more than
                its model.
            InvalidArgumentError: the policy is wrong, or a model is none of the evaluation's.
        """
        stored = await asyncio.to_thread(self._tabulation.store.get, name)
        stored.require_success("judged")
        spec, rules = self._tabulation.spec(stored), self._tabulation.documents.read_policy(policy)
        judged = {chosen_model(model, spec.models)}
        if isinstance(baseline, str):
            judged.add(known_model(baseline, spec.models, field="baseline_model"))
        compared = compared_results(rules, spec, judged, has_baseline=baseline is not None)
        candidate = await self._tabulation.tabulated(
            stored, chosen_model(model, spec.models), compared, stored.name
        )
        against = await self._against(baseline, candidate, rules)
        return await self._tabulation.workers.call(Judge(policy, candidate, against))

    async def _against(
        self, baseline: Baseline, candidate: TabulatedEvaluation, policy: Policy
    ) -> TabulatedEvaluation | RecordedEvaluation | None:
        match baseline:
            case str():
                return replace(candidate, model=baseline, label=baseline)
            case BaselineReference():
                with placed("named_baseline"):
                    return await self._baselines.tabulated(baseline, policy)
            case _:
                return baseline
