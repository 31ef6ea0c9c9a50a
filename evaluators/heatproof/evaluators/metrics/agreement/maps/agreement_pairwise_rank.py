"""How many pairs of cells two maps put in one order."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.agreement.maps.map_agreement import CellAgreement
from heatproof.evaluators.metrics.functions.agreements import pairwise_rank_agreement
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.parameters import UNIT, Range
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True)
class AgreementPairwiseRank(CellAgreement):
    """Takes the share of the pairs of cells that two maps put in one order; in [0, 1]."""

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="agreement_pairwise_rank",
        reference="Krishna et al. 2022, arXiv 2202.01602",
        category=MetricCategory.AGREEMENT,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION,),
    )

    scores: ClassVar[Range] = UNIT

    def likeness(self, own: Map, other: Map, sample: Sample) -> float | None:
        """`mean over i < j of [sign(A_i - A_j) = sign(B_i - B_j)]`, of the means of the cells."""
        cells = self.cells(sample)
        return pairwise_rank_agreement(cells.means(own), cells.means(other))
