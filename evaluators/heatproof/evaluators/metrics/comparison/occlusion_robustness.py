"""Occlusion robustness: what a model bears of any occlusion."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.comparison.random_orders import RandomOrdersMetric, random_curves
from heatproof.evaluators.metrics.functions.curves import CurveScale, low_confidence
from heatproof.evaluators.metrics.metric import (
    METRICS,
    NO_MAP_ENTERS,
    Cost,
    MetricCategory,
    MetricFacts,
)
from heatproof.evaluators.outcomes import CurveFacts, CurveRole, Direction, Outcome
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction


@METRICS.register
@dataclass(frozen=True, slots=True)
class OcclusionRobustness(RandomOrdersMetric):
    """Takes the mean area under relative deletion curves in random orders.

    `RA`, a property of model and operator: the share of its confidence that the model keeps under
    any occlusion, and the confound that `OcclusionCorrectedDeletion` takes out. Ours.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="occlusion_robustness",
        reference="Heatproof, after Won et al. 2023, arXiv 2303.14608",
        category=MetricCategory.COMPARISON,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.REMOVAL,),
    )

    @property
    def reduction(self) -> Reduction:
        """The mean of the areas."""
        return Mean(NOT_NEGATIVE)

    @property
    def comparison_caution(self) -> str:
        """It says nothing of maps."""
        return f"{NO_MAP_ENTERS}: the confound of raw curve areas"

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """Counts of points without coverage."""
        return {"n_zero_coverage": Mean(NOT_NEGATIVE)}

    @property
    def curve_facts(self) -> Mapping[str, CurveFacts]:
        """The curve whose area is the score."""
        unit = CurveScale.RELATIVE.unit
        return {"random": CurveFacts("random orders", CurveRole.SCORED, unit)}

    def cost(self, case: Case) -> Cost:
        """Every point of every order but the ends."""
        return Cost(views=self.orders * (self.steps - 1))

    def score(self, case: Case) -> Procedure[Outcome]:
        """Scores one image."""
        if reason := low_confidence(case.sample):
            return Outcome(reason)
        found = yield from random_curves(case.sample, self._schedule(case), self.orders)
        trace = found.mean.over(case.sample.confidence)
        parts = {"n_zero_coverage": float(trace.zero_coverage)}
        return Outcome(trace.area, parts, {"random": trace.curve()})
