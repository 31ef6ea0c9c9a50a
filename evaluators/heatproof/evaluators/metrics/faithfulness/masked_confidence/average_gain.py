"""Average gain: what the class gains when only what the map keeps is shown."""

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
class AverageGain(ConfidenceRatio):
    """Takes the share of its possible gain that the class gains when only the kept part is left.

    `max(0, s' - s(x)) / (1 - s(x))`, in [0, 1]; of a data set the ratio of the means.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="average_gain",
        reference="Zhang et al. 2024, arXiv 2301.07002",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )
    numerator: ClassVar[str] = "gain"
    denominator: ClassVar[str] = "headroom"
    denominator_text: ClassVar[str] = "what the class lacks to a probability of 1"

    def change(self, confidence: float, masked: float) -> float:
        """`max(0, s' - s(x))`."""
        return max(0.0, masked - confidence)

    def largest(self, confidence: float) -> float:
        """`1 - s(x)`."""
        return 1 - confidence
