"""Takes half the gap between imputing the least and the most relevant pixels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.faithfulness.courses import Way
from heatproof.evaluators.metrics.faithfulness.perturbation import COVERAGE, Walk
from heatproof.evaluators.metrics.faithfulness.road.remove_and_debias import RoadMetric
from heatproof.evaluators.metrics.metric import METRICS, Cost, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import CurveFacts, Direction, Outcome
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.registry.parameters import UNIT, Range
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction

_WAYS: Final = (Way.LERF, Way.MORF)


@METRICS.register
@dataclass(frozen=True, slots=True)
class RoadCombined(RoadMetric):
    """Takes half the gap between imputing the least and the most relevant pixels.

    `(road_lerf - road_morf) / 2`, as pytorch-grad-cam combines them; the clean image cancels.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="road_combined",
        reference="Rong et al. 2022, arXiv 2202.00449",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )

    @property
    def reduction(self) -> Reduction:
        """The mean of half the gaps."""
        return Mean(self.range_of(Range(-0.5, 0.5)))

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """Both means, and counts."""
        means = {f"{way.value}_mean": Mean(self.range_of(UNIT)) for way in _WAYS}
        return {**means, **COVERAGE}

    @property
    def curve_facts(self) -> Mapping[str, CurveFacts]:
        """Both curves."""
        return {way.value: way.facts(self.unit) for way in _WAYS}

    def cost(self, case: Case) -> Cost:
        """Every share twice."""
        return Cost(views=len(_WAYS) * len(self.shares))

    def follow(self, walk: Walk) -> Procedure[Outcome]:
        """`(mean y, least relevant first, - mean y, most relevant first) / 2`."""
        found = {}
        for way in _WAYS:
            found[way] = yield from self.imputed(walk, way)
        parts = {f"{way.value}_mean": each.mean for way, each in found.items()}
        parts["n_zero_coverage"] = float(sum(each.zero_coverage for each in found.values()))
        curves = {way.value: self.curve(each.values) for way, each in found.items()}
        return Outcome((found[Way.LERF].mean - found[Way.MORF].mean) / 2, parts, curves)
