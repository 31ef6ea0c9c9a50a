"""Mean activation: how much of the image a map covers."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.functions.distances import unit_scaled
from heatproof.evaluators.metrics.metric import METRICS, Metric, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome, Reason, Undefined
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.registry.parameters import UNIT
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction


@METRICS.register
@dataclass(frozen=True, slots=True)
class MeanActivation(Metric):
    """Takes the mean of the positive map, scaled to [0, 1]: the complexity that ADCC is made of."""

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="mean_activation",
        reference="Poppi et al. 2021, arXiv 2104.10252",
        category=MetricCategory.COMPLEXITY,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.ATTRIBUTION,),
    )

    @property
    def reduction(self) -> Reduction:
        """The mean of the means."""
        return Mean(UNIT)

    def score(self, case: Case) -> Procedure[Outcome]:
        """`mean of H`."""
        yield from ()
        heat = unit_scaled(case.map)
        if heat is None:
            return Outcome(Undefined(Reason.DEGENERATE, "positive attributions are constant"))
        return Outcome(float(heat.mean()))
