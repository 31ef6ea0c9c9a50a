"""Pearson's correlation of two maps."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.agreement.maps.map_agreement import MapAgreement
from heatproof.evaluators.metrics.functions.correlations import pearson
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True)
class AgreementPearson(MapAgreement):
    """Correlates the values of the pixels of two maps as they are; in [-1, 1]."""

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="agreement_pearson",
        reference="Pearson 1895",
        category=MetricCategory.AGREEMENT,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION,),
    )

    def likeness(self, own: Map, other: Map, sample: Sample) -> float | None:
        """`corr(A, B)`."""
        return pearson(own.reshape(-1), other.reshape(-1))
