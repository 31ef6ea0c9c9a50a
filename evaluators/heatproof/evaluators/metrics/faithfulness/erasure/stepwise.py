"""What is read off the steps of a curve rather than its area."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.faithfulness.courses import Course, Way
from heatproof.evaluators.metrics.faithfulness.perturbation import PerturbationMetric
from heatproof.evaluators.metrics.metric import Cost
from heatproof.evaluators.outcomes import CurveFacts, CurveRole
from heatproof.evaluators.registry.parameters import Range, parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class StepwiseMetric(PerturbationMetric):
    """Goes over the regions in even steps and reads the steps.

    Attributes:
        way: which regions are removed or shown first.
    """

    way: ClassVar[Way]

    steps: int = parameter(28, "Steps of the curve; at most the regions.", within=Range(1, 1000))

    @property
    def course(self) -> Course:
        """Over all regions in even steps."""
        return Course(self.way, self.steps, until=1.0)

    @property
    def curve_facts(self) -> Mapping[str, CurveFacts]:
        """The curve whose steps are read."""
        return {self.name: CurveFacts("this map", CurveRole.SCORED, self.unit, self.way.shares)}

    def check(self, case: Case) -> None:
        """Refuses regions that do not fit, and more steps than regions."""
        PerturbationMetric.check(self, case)
        self.check_even_steps(self.steps, case)

    def cost(self, case: Case) -> Cost:
        """Every point but the two ends."""
        return Cost(views=self.steps - 1)
