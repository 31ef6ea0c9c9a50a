"""Symmetric relevance gain: what removing the least relevant first keeps beyond the opposite."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.faithfulness.perturbation_curves.curve_gap import CurveGap
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True)
class Srg(CurveGap):
    """Takes the symmetric relevance gain: least relevant first less most relevant first.

    The number of `Abpc` under its other name.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="srg",
        reference="Blücher et al. 2024, arXiv 2401.06654",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )
