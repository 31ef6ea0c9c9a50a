"""How many of the most important cells two maps have in common."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.agreement.maps.map_agreement import TopCellsAgreement
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Score
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.parameters import UNIT
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction


@METRICS.register
@dataclass(frozen=True, slots=True)
class AgreementTopK(TopCellsAgreement):
    """Takes the share of the cells of largest magnitude that two maps have in common; in [0, 1].

    Two random maps have the part `chance` in common.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="agreement_top_k",
        reference="Krishna et al. 2022, arXiv 2202.01602",
        category=MetricCategory.AGREEMENT,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION,),
    )

    @property
    def part_reductions(self) -> dict[str, Reduction]:
        """What two random maps have in common."""
        return {"chance": Mean(UNIT)}

    def constants(self, case: Case) -> dict[str, Score]:
        """What two random maps have in common."""
        return {"chance": self.chance}

    def likeness(self, own: Map, other: Map, sample: Sample) -> float | None:
        """`|top(A) and top(B)| / k`."""
        return self.top(own, sample).agreement(self.top(other, sample))
