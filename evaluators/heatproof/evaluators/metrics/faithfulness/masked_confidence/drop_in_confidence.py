"""Drop in confidence: what the class loses when only what the map keeps is shown."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.faithfulness.masked_confidence.masked_confidence import (
    MaskedConfidence,
)
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome
from heatproof.evaluators.registry.parameters import UNIT
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction


@METRICS.register
@dataclass(frozen=True, slots=True, kw_only=True)
class DropInConfidence(MaskedConfidence):
    """Takes what the class loses of its probability when only what the map keeps is shown.

    `max(0, s(x) - s')`, in [0, 1].
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="drop_in_confidence",
        reference="Gildenblat 2021, pytorch-grad-cam",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )

    @property
    def reduction(self) -> Reduction:
        """The mean; images whose class loses nothing have 0."""
        return Mean(UNIT, (0.0,))

    def compare(self, confidence: float, masked: float) -> Outcome:
        """`max(0, s(x) - s')`."""
        return Outcome(max(0.0, confidence - masked))
