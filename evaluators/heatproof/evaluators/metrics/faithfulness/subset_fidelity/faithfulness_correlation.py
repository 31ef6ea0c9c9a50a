"""Faithfulness correlation: whether attributions of random sets of regions follow their effects."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.faithfulness.subset_fidelity.subset_fidelity import (
    Evidence,
    RegionSubsets,
)
from heatproof.evaluators.metrics.functions.correlations import pearson
from heatproof.evaluators.metrics.functions.subsets import (
    Subset,
    correlated,
    fixed_size,
    size_of,
)
from heatproof.evaluators.metrics.metric import METRICS, Cost, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome
from heatproof.evaluators.regions import Regions
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True, kw_only=True)
class FaithfulnessCorrelation(RegionSubsets):
    """Correlates summed attributions of random sets of one size with what their removal takes away.

    Pearson's correlation of `sum of A over S` and `y(x) - y(x without S)`; in [-1, 1].
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="faithfulness_correlation",
        reference="Bhatt et al. 2020, arXiv 2005.00631",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )

    size: float = parameter(
        0.1,
        "Size of the sets, as a share of the regions.",
        within=Range(0, 1, lower_included=False, upper_included=False),
    )
    subsets: int = parameter(100, "Random sets.", within=Range(8, 10_000))

    def cost(self, case: Case) -> Cost:
        """Every set once."""
        return Cost(views=self.subsets)

    def chosen(self, case: Case, regions: Regions) -> Iterator[Subset]:
        """Random sets of one size."""
        size = size_of(self.size, regions.cells)
        return fixed_size(case.sample, regions.cells, size, self.subsets)

    def measure(self, evidence: Evidence) -> Outcome:
        """`pearson(sum of A over S, y(x) - y(x without S))`."""
        subject = f"{self.size:.0%} of the regions"
        return Outcome(correlated(evidence.attributions, evidence.drops, pearson, subject))
