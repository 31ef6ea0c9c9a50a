"""ARCC: ROAD, coherency and complexity in one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import ClassVar

from heatproof.evaluators.metrics.agreement.composites.masked_map import (
    MaskedMap,
    MaskedMapMetric,
    harmonic,
)
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.faithfulness.road.road_combined import RoadCombined
from heatproof.evaluators.metrics.metric import METRICS, Cost, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome, Reason, Undefined
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.regions import Pixels, Segmentation
from heatproof.evaluators.registry.parameters import UNIT, Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.removal import LinearImputation, RemovalOperator


@METRICS.register
@dataclass(frozen=True, slots=True, kw_only=True)
class Arcc(MaskedMapMetric):
    """Takes the harmonic mean of coherency, conciseness and twice the combined ROAD score.

    Of `coherency`, `1 - mean_activation` and `2 road_combined` clipped to [0, 1]; 0 where one of
    them is. The removal operator is that of coherency; ROAD has its own.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="arcc",
        reference="pytorch-grad-cam 1.5.7",
        category=MetricCategory.AGREEMENT,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.EXPLAINER, Reads.REMOVAL),
    )

    shares: tuple[float, ...] = parameter(
        (0.2, 0.4, 0.6, 0.8),
        "Shares of the regions that ROAD imputes, ascending.",
        within=Range(0, 1, lower_included=False),
    )
    regions: Segmentation = parameter(Pixels(), "What ROAD imputes at a time.")
    imputation: RemovalOperator = parameter(LinearImputation(), "How ROAD imputes.")

    @property
    def terms(self) -> Sequence[str]:
        """What it is made of; the ROAD score lies elsewhere."""
        return ("coherency", "mean_activation", "road")

    @property
    def _road(self) -> RoadCombined:
        return RoadCombined(shares=self.shares, regions=self.regions)

    def _imputed(self, case: Case) -> Case:
        """The same with the operator of ROAD."""
        return Case(self._road.reads, case.model, replace(case.given, removal=self.imputation))

    def check(self, case: Case) -> None:
        """Refuses what coherency refuses, and what ROAD refuses."""
        MaskedMapMetric.check(self, case)
        self._road.check(self._imputed(case))

    def cost(self, case: Case) -> Cost:
        """As coherency, and every share twice."""
        road = self._road.cost(self._imputed(case))
        return Cost(views=1 + road.views, explanations=1)

    def combine(self, case: Case, found: MaskedMap) -> Procedure[Outcome]:
        """The harmonic mean of all three; the part `road` is the clipped term."""
        outcome = yield from self._road.score(self._imputed(case))
        if isinstance(outcome.score, Undefined):
            return Outcome(outcome.score)
        if not isfinite(outcome.score):
            detail = "an answer to an imputed image is not finite"
            return Outcome(Undefined(Reason.NOT_FINITE, detail))
        road, covered = UNIT.clip(2 * outcome.score), float(found.heat.mean())
        return harmonic(
            {"coherency": found.coherency, "mean_activation": covered, "road": road},
            {"coherency": found.coherency, "conciseness": 1 - covered, "road": road},
        )
