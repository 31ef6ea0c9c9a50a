"""Top-k intersection: the share of the most salient pixels on the object."""

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
class TopKIntersection(TopShare):
    """Takes the share of the `k` most salient pixels that lies on the object.

    `|top-k and O| / k`; ties fall as the seed draws them.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="top_k_intersection",
        reference="Theiner et al. 2022, arXiv 2104.14995",
        category=MetricCategory.LOCALIZATION,
        direction=Direction.HIGHER_IS_BETTER,
        reads=OBJECT_READS,
    )
