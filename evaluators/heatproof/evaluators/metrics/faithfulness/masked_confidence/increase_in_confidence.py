"""Increase in confidence: how often the class gains when only what the map keeps is shown."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.faithfulness.masked_confidence.masked_confidence import (
    MaskedConfidence,
)
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Proportion, Reduction


@METRICS.register
@dataclass(frozen=True, slots=True, kw_only=True)
class IncreaseInConfidence(MaskedConfidence):
    """Asks whether the class gains when only what the map keeps is shown.

    `[s' > s(x)]`; of a data set the share of the images.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="increase_in_confidence",
        reference="Chattopadhay et al. 2018, arXiv 1710.11063",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )

    @property
    def reduction(self) -> Reduction:
        """The share of the images."""
        return Proportion()

    def compare(self, confidence: float, masked: float) -> Outcome:
        """`[s' > s(x)]`."""
        return Outcome(float(masked > confidence))
