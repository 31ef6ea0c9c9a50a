"""Concept influence: top-k intersection, held against the size of the object."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.localization.object_shares.shares import (
    OBJECT_READS,
    TopShare,
)
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction


@METRICS.register
@dataclass(frozen=True, slots=True)
class ConceptInfluence(TopShare):
    """Takes how much more often the most salient pixels lie on the object than random ones.

    `|top-k and O| / k`, divided by the object's share of the input: 1 is chance.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="concept_influence",
        reference="Theiner et al. 2022, arXiv 2104.14995",
        category=MetricCategory.LOCALIZATION,
        direction=Direction.HIGHER_IS_BETTER,
        reads=OBJECT_READS,
    )

    @property
    def is_weighted(self) -> bool:
        """Always."""
        return True
