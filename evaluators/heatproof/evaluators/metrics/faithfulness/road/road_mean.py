"""The mean of what the model says where shares of the regions are imputed in one order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.faithfulness.courses import Way
from heatproof.evaluators.metrics.faithfulness.perturbation import COVERAGE, Walk
from heatproof.evaluators.metrics.faithfulness.road.remove_and_debias import RoadMetric
from heatproof.evaluators.metrics.metric import Cost
from heatproof.evaluators.outcomes import CurveFacts, CurveRole, Outcome
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.registry.parameters import UNIT
from heatproof.evaluators.statistics.reductions import Mean, Reduction


@dataclass(frozen=True, slots=True, kw_only=True)
class RoadMean(RoadMetric):
    """Takes the mean of the class probability at shares of the regions, imputed in one order.

    Attributes:
        way: which regions are removed first.
    """

    way: ClassVar[Way]

    @property
    def reduction(self) -> Reduction:
        """The mean of the images' means."""
        return Mean(self.range_of(UNIT))

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """The published score, and counts."""
        return {"accuracy": Mean(UNIT), **COVERAGE}

    @property
    def curve_facts(self) -> Mapping[str, CurveFacts]:
        """The curve whose mean is the score."""
        return {self.name: CurveFacts("this map", CurveRole.SCORED, self.unit, self.way.shares)}

    def cost(self, case: Case) -> Cost:
        """Every share."""
        return Cost(views=len(self.shares))

    def follow(self, walk: Walk) -> Procedure[Outcome]:
        """`mean over the shares of y`; the part `accuracy` is that of [top class = class]."""
        found = yield from self.imputed(walk, self.way)
        parts = {
            "accuracy": float(found.hits.mean()),
            "n_zero_coverage": float(found.zero_coverage),
        }
        return Outcome(found.mean, parts, {self.name: self.curve(found.values)})
