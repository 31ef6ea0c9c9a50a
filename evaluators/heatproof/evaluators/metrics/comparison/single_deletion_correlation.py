"""Single deletion: whether attributions rank cells by what the removal of each takes away."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.faithfulness.subset_fidelity.subset_fidelity import (
    Evidence,
    SingleRegions,
)
from heatproof.evaluators.metrics.functions.correlations import spearman
from heatproof.evaluators.metrics.functions.subsets import Output, correlated
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome
from heatproof.evaluators.regions.grid import comparable
from heatproof.evaluators.registry.parameters import parameter
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True, kw_only=True)
class SingleDeletionCorrelation(SingleRegions):
    """Correlates the ranks of the cells by attribution and by what the removal of each takes away.

    Spearman's correlation, over the cells, of the mean of A in a cell and the fall of the target's
    logit when that cell alone is removed. After Hesse et al. 2024 (arXiv 2407.11910) without the
    fine-tuning of the model that their IDSDS asks for.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="single_deletion_correlation",
        reference="Heatproof, after Hesse et al. 2024, arXiv 2407.11910",
        category=MetricCategory.COMPARISON,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )

    output: Output = parameter(Output.LOGIT, "What is read of an answer.")

    def measure(self, evidence: Evidence) -> Outcome:
        """`spearman(mean of A in each cell, y(x) - y(x without the cell))`."""
        means = comparable(evidence.regions.means(evidence.map))
        return Outcome(correlated(means, evidence.drops, spearman, "single cells"))
