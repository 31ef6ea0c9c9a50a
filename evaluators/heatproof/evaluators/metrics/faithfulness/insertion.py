"""Takes the area under the class probability as the most salient cells are added."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.faithfulness.area import CurveArea
from heatproof.evaluators.metrics.functions.curves import (
    PerturbationCurve,
    Schedule,
    insertion_curve,
)
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.regions.grid import Order
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True)
class Insertion(CurveArea):
    """Takes the area under the class probability as the most salient cells are added."""

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="insertion",
        reference="Petsiuk et al. 2018, arXiv 1806.07421",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )
    shares: ClassVar[str] = "share of cells shown"

    def curve(
        self, sample: Sample, schedule: Schedule, order: Order
    ) -> Procedure[PerturbationCurve]:
        """Goes over the cells, most salient first."""
        return insertion_curve(sample, schedule, order)
