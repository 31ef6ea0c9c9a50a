"""The gap between the curves of removing the least and the most relevant regions first."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.faithfulness.courses import Course, Way
from heatproof.evaluators.metrics.faithfulness.perturbation import (
    COVERAGE,
    PerturbationMetric,
    Walk,
)
from heatproof.evaluators.metrics.faithfulness.perturbation_curves.curve_area import SHARES
from heatproof.evaluators.metrics.metric import Cost
from heatproof.evaluators.outcomes import CurveFacts, Outcome
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.registry.parameters import UNIT, Range, parameter
from heatproof.evaluators.statistics.reductions import Mean, Reduction

_WAYS: Final = (Way.LERF, Way.MORF)


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveGap(PerturbationMetric):
    """Takes the area of removing the least relevant regions first less that of the most relevant.

    Insertion less deletion, exactly.
    """

    steps: int = parameter(28, "Steps of the curves; at most the regions.", within=Range(1, 1000))
    until: float = parameter(1.0, "Share of the regions at which the curves end.", within=SHARES)

    @property
    def reduction(self) -> Reduction:
        """The mean of the gaps."""
        return Mean(self.range_of(Range(-1, 1)))

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """Both areas, and counts of points without coverage."""
        areas = {f"{way.value}_area": Mean(self.range_of(UNIT)) for way in _WAYS}
        return {**areas, **COVERAGE}

    @property
    def curve_facts(self) -> Mapping[str, CurveFacts]:
        """Both curves."""
        return {way.value: way.facts(self.unit) for way in _WAYS}

    def check(self, case: Case) -> None:
        """Refuses regions that do not fit, and more steps than regions."""
        PerturbationMetric.check(self, case)
        self.check_even_steps(self.steps, case)

    def cost(self, case: Case) -> Cost:
        """Every point of both curves but their ends."""
        cells = self.regions.most(case.model.height, case.model.width)
        return Cost(views=sum(self._course(way).views(cells) for way in _WAYS))

    def follow(self, walk: Walk) -> Procedure[Outcome]:
        """`area(least relevant first) - area(most relevant first)`."""
        areas, curves, uncovered = {}, {}, 0
        for way in _WAYS:
            course = self._course(way)
            trace = yield from course.trace(walk)
            areas[way] = course.area(trace)
            curves[way.value] = course.curve(trace, is_fixed=self.regions.is_fixed)
            uncovered += trace.zero_coverage
        parts = {f"{way.value}_area": area for way, area in areas.items()}
        parts["n_zero_coverage"] = float(uncovered)
        return Outcome(areas[Way.LERF] - areas[Way.MORF], parts, curves)

    def _course(self, way: Way) -> Course:
        return Course(way, self.steps, self.until)
