"""Monotonicity correlation: whether magnitudes rank regions by their squared effects."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.faithfulness.subset_fidelity.subset_fidelity import (
    Evidence,
    SingleRegions,
)
from heatproof.evaluators.metrics.functions.correlations import spearman
from heatproof.evaluators.metrics.functions.subsets import Effects, correlated, effects_of
from heatproof.evaluators.metrics.metric import METRICS, Cost, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.regions import Regions
from heatproof.evaluators.regions.grid import comparable
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.registry.registry import Reads, reads_donors
from heatproof.evaluators.removal.operator import RemovalOperator


@METRICS.register
@dataclass(frozen=True, slots=True, kw_only=True)
class MonotonicityCorrelation(SingleRegions):
    """Correlates the ranks of the regions by magnitude and by the mean square of their effects.

    Spearman's correlation of `|sum of A over P_i|` and the mean of `(y(x) - y(x without P_i))^2`
    over several draws of what the removal operator paints; in [-1, 1].
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="monotonicity_correlation",
        reference="Nguyen and Martinez 2020, arXiv 2007.07584",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )

    draws: int = parameter(
        10,
        "Draws of what a random removal operator paints; other operators paint once.",
        within=Range(1, 100),
    )

    @property
    def removal_draws(self) -> int:
        """The parameter."""
        return self.draws

    def cost(self, case: Case) -> Cost:
        """Every region once in each draw."""
        regions = self.segmentation.most(case.model.height, case.model.width)
        return Cost(views=regions * len(self._draws(case.removal)))

    def effects(self, case: Case, regions: Regions) -> Procedure[Effects]:
        """Mean squares over the draws; an operator is bound to one draw after the other."""
        read = self.output.reading(case.sample)
        draws = self._draws(case.removal)
        if reads_donors(case.removal):
            draws = draws[: len(case.sample.donors)]
        squares = np.zeros(regions.cells)
        zero_coverage = 0
        for draw in draws:
            found = yield from effects_of(
                self.chosen(case, regions), case.sample, regions, case.removal, read, draw=draw
            )
            squares += found.drops**2
            zero_coverage += found.zero_coverage
        return Effects(squares / len(draws), zero_coverage)

    def measure(self, evidence: Evidence) -> Outcome:
        """`spearman(|sum of A over P_i|, mean of (y(x) - y(x without P_i))^2)`."""
        magnitudes = comparable(np.abs(evidence.attributions))
        # Roots rank alike, and have the unit in which effects are small or not.
        effects = np.sqrt(evidence.drops)
        return Outcome(correlated(magnitudes, effects, spearman, "single regions"))

    def _draws(self, removal: RemovalOperator) -> Sequence[int]:
        return range(self.draws if removal.is_random else 1)
