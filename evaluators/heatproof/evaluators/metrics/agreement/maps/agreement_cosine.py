"""Cosine of two maps."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.agreement.maps.map_agreement import MapAgreement
from heatproof.evaluators.metrics.functions.correlations import cosine
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True)
class AgreementCosine(MapAgreement):
    """Takes the cosine of the angle between two maps as they are; in [-1, 1]."""

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="agreement_cosine",
        reference="Heatproof",
        category=MetricCategory.AGREEMENT,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION,),
    )

    def likeness(self, own: Map, other: Map, sample: Sample) -> float | None:
        """`<A, B> / (||A|| ||B||)`."""
        return cosine(own.reshape(-1), other.reshape(-1))
