"""Mu-fidelity: whether attributions of random sets of any size rank their effects."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.faithfulness.subset_fidelity.subset_fidelity import (
    COUNTS,
    Evidence,
    RegionSubsets,
)
from heatproof.evaluators.metrics.functions.correlations import spearman
from heatproof.evaluators.metrics.functions.subsets import Subset, correlated, independent
from heatproof.evaluators.metrics.metric import METRICS, Cost, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome
from heatproof.evaluators.regions import Grid, Regions, Segmentation
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction


@METRICS.register
@dataclass(frozen=True, slots=True, kw_only=True)
class MuFidelity(RegionSubsets):
    """Correlates the ranks of random sets by summed attribution and by what their removal takes.

    Each region is in a set by chance, so that sets differ in size; Spearman's correlation, in
    [-1, 1]. The part `control_area` (ours) is the same of a map of ones.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="mu_fidelity",
        reference="Bhatt et al. 2020, arXiv 2005.00631, as in Fel et al. 2021, arXiv 2111.04138",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )

    regions: Segmentation = parameter(
        Grid(9), "What is removed together; the default has a side of 9."
    )
    share: float = parameter(
        0.2,
        "Chance of each region to be in a set.",
        within=Range(0, 1, lower_included=False, upper_included=False),
    )
    subsets: int = parameter(200, "Random sets.", within=Range(8, 10_000))

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """The control by area, and counts of sets without which the model saw nothing."""
        return {**COUNTS, "control_area": Mean(Range(-1, 1))}

    def cost(self, case: Case) -> Cost:
        """Every set once."""
        return Cost(views=self.subsets)

    def chosen(self, case: Case, regions: Regions) -> Iterator[Subset]:
        """Random sets of random sizes."""
        return independent(case.sample, regions.cells, self.share, self.subsets)

    def measure(self, evidence: Evidence) -> Outcome:
        """`spearman(sum of A over S, y(x) - y(x without S))`."""
        areas = evidence.masses(evidence.regions.areas.astype(np.float64))
        scores = (
            correlated(masses, evidence.drops, spearman, f"regions by a chance of {self.share:.0%}")
            for masses in (evidence.attributions, areas)
        )
        score, control = scores
        return Outcome(score, {"control_area": control})
