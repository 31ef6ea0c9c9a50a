"""How many of the most important cells have one place and one sign in two maps."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.agreement.maps.map_agreement import TopCellsAgreement
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True)
class AgreementSignedRank(TopCellsAgreement):
    """Takes the share of the top cells that have one rank and one sign in two maps; in [0, 1]."""

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="agreement_signed_rank",
        reference="Krishna et al. 2022, arXiv 2202.01602",
        category=MetricCategory.AGREEMENT,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION,),
    )

    def likeness(self, own: Map, other: Map, sample: Sample) -> float | None:
        """As `agreement_top_k`, of cells whose ranks and signs agree."""
        return self.top(own, sample).signed_rank_agreement(self.top(other, sample))
