"""The area under a curve of the class probability: what deletion and insertion share."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.functions.curves import (
    CurveScale,
    PerturbationCurve,
    Schedule,
    low_confidence,
)
from heatproof.evaluators.metrics.metric import OCCLUSION_CONFOUND, Cost, Metric
from heatproof.evaluators.outcomes import CurveFacts, CurveRole, Outcome, Undefined
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.regions.grid import Order, saliency_order
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, Range, parameter
from heatproof.evaluators.statistics.reductions import Mean, Reduction


@dataclass(frozen=True, slots=True)
class CurveArea(Metric):
    """Takes the area under a curve that goes cell by cell in the order of the map.

    Attributes:
        shares: what the curve goes over, in words.
    """

    shares: ClassVar[str]

    grid: int = parameter(14, "Cells along each side of the image.", within=Range(1, 4096))
    steps: int = parameter(28, "Steps of the curve; at most the cells.", within=Range(1, 1000))
    scale: CurveScale = parameter(CurveScale.PROBABILITY, "Scaling of the curve.")

    @abstractmethod
    def curve(
        self, sample: Sample, schedule: Schedule, order: Order
    ) -> Procedure[PerturbationCurve]:
        """Draws the curve, most salient cells first."""

    @property
    def reduction(self) -> Reduction:
        """The mean of the areas."""
        return Mean(self.scale.range)

    @property
    def comparison_caution(self) -> str:
        """Raw areas rank models by their robustness."""
        return OCCLUSION_CONFOUND

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """Counts of points without coverage."""
        return {"n_zero_coverage": Mean(NOT_NEGATIVE)}

    @property
    def curve_facts(self) -> Mapping[str, CurveFacts]:
        """The curve whose area is the score."""
        return {self.name: CurveFacts("this map", CurveRole.SCORED, self.scale.unit, self.shares)}

    def check(self, case: Case) -> None:
        """Refuses a grid finer than the pixels and more steps than cells."""
        self._schedule(case).check()

    def cost(self, case: Case) -> Cost:
        """Every point but the two ends."""
        return Cost(views=self.steps - 1)

    def score(self, case: Case) -> Procedure[Outcome]:
        """Scores one image."""
        sample, schedule = case.sample, self._schedule(case)
        if self.scale is CurveScale.RELATIVE and (reason := low_confidence(sample)):
            return Outcome(reason)
        order = saliency_order(schedule.grid, case.map, sample.rng("ties"))
        if isinstance(order, Undefined):
            return Outcome(order)
        trace = yield from self.curve(sample, schedule, order)
        if self.scale is CurveScale.RELATIVE:
            trace = trace.over(sample.confidence)
        parts = {"n_zero_coverage": float(trace.zero_coverage)}
        return Outcome(trace.area, parts, {self.name: trace.curve()})

    def _schedule(self, case: Case) -> Schedule:
        return Schedule(case.grid(self.grid), self.steps, case.removal)
