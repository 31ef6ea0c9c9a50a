"""Judges ended evaluations."""

import asyncio
from dataclasses import replace

from heatproof.evaluators.errors import placed
from heatproof.evaluators.evaluation.results import SequentialUnits
from heatproof.evaluators.gate.policy import Policy
from heatproof.evaluators.gate.soundness import compared_results
from heatproof.server.evaluations.gating.baselines import Baselines
from heatproof.server.evaluations.gating.models import chosen_model, known_model
from heatproof.server.evaluations.gating.tabulation import Tabulation
from heatproof.server.evaluations.store.records import StoredEvaluation
from heatproof.server.evaluations.store.rules import Baseline, Rules
from heatproof.server.resource_names import BaselineReference, EvaluationName
from heatproof.server.workers.protocol import Lane
from heatproof.server.workers.statistics_tasks import (
    Judge,
    LookAt,
    RecordedEvaluation,
    TabulatedEvaluation,
    TabulateRecord,
)


class Gates:
    """Judges evaluations by policies; stores nothing."""

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
        stored.require_results("judged")
        spec = self._tabulation.spec(stored)
        rules = Rules(policy, baseline)
        candidate, against = await self._held(stored, chosen_model(model, spec.models), rules)
        return await self._tabulation.workers.call(Judge(policy, candidate, against))

    async def read_baseline(self, rules: Rules) -> Rules:
        """The rules with a baseline from elsewhere as columns, which many looks will read.

        Raises:
            HeatproofError: what `judge` would fail with.
        """
        baseline, policy = rules.baseline, self._tabulation.documents.read_policy(rules.policy)
        if isinstance(baseline, BaselineReference):
            with placed("named_baseline"):
                held = await self._baselines.tabulated(baseline, policy)
            return replace(rules, baseline=held)
        if not isinstance(baseline, RecordedEvaluation):
            return rules
        task = TabulateRecord(baseline, rules.policy)
        columns = await self._tabulation.workers.call(task, lane=Lane.BULK)
        held = TabulatedEvaluation(
            baseline.model,
            baseline.evaluation,
            (columns.images,),
            {first: (block,) for first, block in columns.scores.items()},
            baseline.label,
            baseline.policy,
        )
        return replace(rules, baseline=held)

    async def is_decided(
        self, stored: StoredEvaluation, rules: Rules, taken: SequentialUnits
    ) -> bool:
        """Whether what an evaluation has so far decides every check of a sequential policy.

        Args:
            stored: an evaluation that runs; its first model is judged.
            rules: by what.
            taken: how far it is.

        Raises:
            HeatproofError: what `judge` would fail with.
        """
        model = self._tabulation.spec(stored).models[0]
        candidate, against = await self._held(stored, model, rules)
        task = LookAt(rules.policy, candidate, against, taken)
        return await self._tabulation.workers.call(task, lane=Lane.BULK)

    async def _held(
        self, stored: StoredEvaluation, model: str, rules: Rules
    ) -> tuple[TabulatedEvaluation, TabulatedEvaluation | RecordedEvaluation | None]:
        """A candidate and what it is held against, with the scores that a verdict reads."""
        spec, baseline = self._tabulation.spec(stored), rules.baseline
        policy = self._tabulation.documents.read_policy(rules.policy)
        judged = {model}
        if isinstance(baseline, str):
            judged.add(known_model(baseline, spec.models, field="baseline_model"))
        compared = compared_results(policy, spec, judged, has_baseline=baseline is not None)
        candidate = await self._tabulation.tabulated(stored, model, compared, stored.name)
        return candidate, await self._against(baseline, candidate, policy)

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
