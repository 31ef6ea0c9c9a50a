"""Faithfulness estimate: whether attributions are in proportion to effects of single regions."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.faithfulness.subset_fidelity.subset_fidelity import (
    Evidence,
    SingleRegions,
)
from heatproof.evaluators.metrics.functions.correlations import pearson
from heatproof.evaluators.metrics.functions.subsets import correlated
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True, kw_only=True)
class FaithfulnessEstimate(SingleRegions):
    """Correlates the attribution of each region with what its removal alone takes away.

    Pearson's correlation of `sum of A over P_i` and `y(x) - y(x without P_i)`; in [-1, 1].
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="faithfulness_estimate",
        reference="Alvarez-Melis and Jaakkola 2018, arXiv 1806.07538",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )

    def measure(self, evidence: Evidence) -> Outcome:
        """`pearson(sum of A over P_i, y(x) - y(x without P_i))`."""
        return Outcome(correlated(evidence.attributions, evidence.drops, pearson, "single regions"))
