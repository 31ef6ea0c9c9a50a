"""Structural similarity of two maps."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.agreement.maps.map_agreement import MapAgreement
from heatproof.evaluators.metrics.functions.distances import structural_similarity, unit_scaled
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True)
class AgreementSsim(MapAgreement):
    """Takes the mean structural similarity of two maps, each scaled to [0, 1]; in [-1, 1].

    Negative attributions count as 0, as in the distances of `explanation_consistency`.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="agreement_ssim",
        reference="Wang et al. 2004, doi 10.1109/TIP.2003.819861",
        category=MetricCategory.AGREEMENT,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION,),
    )

    def likeness(self, own: Map, other: Map, sample: Sample) -> float | None:
        """`SSIM(A, B)`, which is not clipped; None where nothing is positive, or all alike."""
        mine, theirs = unit_scaled(own), unit_scaled(other)
        if mine is None or theirs is None:
            return None
        return structural_similarity(mine, theirs)
