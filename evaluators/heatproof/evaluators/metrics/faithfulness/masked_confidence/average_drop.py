"""Average drop: what the class loses when only what the map keeps is shown."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.faithfulness.masked_confidence.confidence_ratio import (
    ConfidenceRatio,
)
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True, kw_only=True)
class AverageDrop(ConfidenceRatio):
    """Takes the share of its probability that the class loses when only what the map keeps is left.

    `max(0, s(x) - s') / s(x)`, in [0, 1]; of a data set the ratio of the means.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="average_drop",
        reference="Chattopadhay et al. 2018, arXiv 1710.11063",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )
    numerator: ClassVar[str] = "drop"
    denominator: ClassVar[str] = "confidence"
    denominator_text: ClassVar[str] = "the probability of the class"

    def change(self, confidence: float, masked: float) -> float:
        """`max(0, s(x) - s')`."""
        return max(0.0, confidence - masked)

    def largest(self, confidence: float) -> float:
        """`s(x)`."""
        return confidence
