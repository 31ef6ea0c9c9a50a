"""From the columns of an evaluation to the reliability of its metrics."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from heatproof.evaluators.evaluation.columns import Columns
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.summaries import summaries_of, units_of
from heatproof.evaluators.reliability.judging import findings_of_image, findings_of_mean, trust_of
from heatproof.evaluators.reliability.rank_agreement import (
    Sampled,
    explainer_agreement,
    image_agreement,
    metric_agreement,
    rank_agreement,
)
from heatproof.evaluators.reliability.scored_trials import ScoredTrial
from heatproof.evaluators.reliability.steps import steps_of
from heatproof.evaluators.reliability.trials import trials_of
from heatproof.evaluators.reliability.values import (
    MetricAgreement,
    MetricReliability,
    RatedMaps,
    Role,
)
from heatproof.evaluators.statistics.groups.units import Units

_RANKED: Final = (Role.RANDOM, Role.BLIND, Role.EXPLAINER)
"""Whose maps images are asked to rank; the oracle takes no part in a ranking of explainers."""


def assessed(spec: EvaluationSpec, model: str, columns: Columns) -> tuple[MetricReliability, ...]:
    """Says of each metric of a spec whether its scores of one model's maps deserve trust.

    Args:
        spec: what was evaluated.
        model: which of its models.
        columns: all images, and at least the results of the model's trials.
    """
    units = units_of(columns.images, seed=spec.seed)
    trials = [ScoredTrial.of(trial, spec, columns, units) for trial in trials_of(spec, model)]
    assessment = _Assessment(units, spec.seed)
    return tuple(
        assessment.reliability(one, [other for other in trials if other is not one])
        for one in trials
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Assessment:
    units: Units
    seed: int

    def reliability(self, held: ScoredTrial, others: Sequence[ScoredTrial]) -> MetricReliability:
        """Says whether the scores of a metric deserve trust."""
        key, sampled = held.trial.key, self._sampled(held.shared)
        *summaries, resilience = summaries_of(
            [*held.quantities, held.resilience()], self.units, seed=self.seed
        )
        maps = tuple(
            RatedMaps(one.explainer, one.role, one.result, summary)
            for one, summary in zip(held.trial.contenders, summaries, strict=True)
        )
        steps = steps_of(held.trial, held.quantities, summaries, self.units, seed=self.seed)
        agreement = image_agreement(held.ranked(_RANKED), sampled)
        of_mean = findings_of_mean(maps, steps, resilience)
        of_image = findings_of_image(agreement)
        return MetricReliability(
            model=key.models[0],
            metric=key.metric.echoed,
            removal=key.removal,
            direction=key.metric.direction,
            images=int(held.shared.sum()),
            unshared_images=held.unshared,
            maps=maps,
            steps=steps,
            image_agreement=agreement,
            explainer_agreement=explainer_agreement(held.ranked((Role.EXPLAINER,)), sampled),
            resilience=resilience,
            agreements=tuple(self._agreement(held, other) for other in others),
            trust_of_mean=trust_of(of_mean),
            trust_of_image=trust_of(of_image),
            reasons=tuple(finding.told for finding in (*of_mean, *of_image)),
        )

    def _agreement(self, held: ScoredTrial, other: ScoredTrial) -> MetricAgreement:
        """With another metric, over the maps and images that both rate."""
        key, both = other.trial.key, held.shared & other.shared
        sampled = self._sampled(both)
        explained, others_explained = held.paired(other, (Role.EXPLAINER,))
        ranked, others_ranked = held.paired(other, _RANKED)
        return MetricAgreement(
            metric=key.metric.echoed,
            removal=key.removal,
            correlation=metric_agreement(explained[both], others_explained[both], sampled),
            rank_correlation=rank_agreement(ranked[both], others_ranked[both], sampled),
        )

    def _sampled(self, images: np.ndarray) -> Sampled:
        return Sampled(self.units, np.flatnonzero(images), self.seed)
