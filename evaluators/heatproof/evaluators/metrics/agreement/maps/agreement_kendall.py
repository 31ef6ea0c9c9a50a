"""Kendall's correlation of two maps over cells."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.agreement.maps.map_agreement import CellAgreement
from heatproof.evaluators.metrics.functions.agreements import kendall
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True)
class AgreementKendall(CellAgreement):
    """Correlates the orders of the cells of two maps by Kendall's tau-b; in [-1, 1]."""

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="agreement_kendall",
        reference="Kendall 1945",
        category=MetricCategory.AGREEMENT,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION,),
    )

    def likeness(self, own: Map, other: Map, sample: Sample) -> float | None:
        """`tau-b` of the means of the cells."""
        cells = self.cells(sample)
        return kendall(cells.means(own), cells.means(other))
