"""Relevance rank accuracy: the most salient pixels, as many as the object has."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.images.arrays import Mask
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.localization.object_shares.shares import (
    OBJECT_READS,
    ObjectShare,
    share_of_top,
)
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction


@METRICS.register
@dataclass(frozen=True, slots=True)
class RelevanceRankAccuracy(ObjectShare):
    """Takes the share of the most salient pixels, as many as the object has, that lies on it.

    `|top-K and O| / K`, `K = |O|`; ties fall as the seed draws them.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="relevance_rank_accuracy",
        reference="Arras et al. 2022, arXiv 2003.07258",
        category=MetricCategory.LOCALIZATION,
        direction=Direction.HIGHER_IS_BETTER,
        reads=OBJECT_READS,
    )
    end_atoms: ClassVar[tuple[float, ...]] = (0.0,)

    def share(self, case: Case, objects: Mask) -> float:
        """`|top-K and O| / K`."""
        return share_of_top(case, objects, int(objects.sum()))
