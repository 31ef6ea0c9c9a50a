"""Effective complexity: how many pixels matter to the map at all."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.complexity.magnitudes import MagnitudeMetric
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.registry.parameters import UNIT, Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction


@METRICS.register
@dataclass(frozen=True, slots=True)
class EffectiveComplexity(MagnitudeMetric):
    """Takes the share of pixels whose magnitude exceeds a small share of the highest.

    `|{i : |A_i| > eps max |A|}| / n`, as peers read the paper, whose own definition asks the model.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="effective_complexity",
        reference="Nguyen and Martinez 2020, arXiv 2007.07584",
        category=MetricCategory.COMPLEXITY,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.ATTRIBUTION,),
    )

    eps: float = parameter(
        1e-5,
        "Magnitudes up to this share of the highest count as 0.",
        within=Range(0, 1, upper_included=False),
    )

    @property
    def reduction(self) -> Reduction:
        """The mean of the shares."""
        return Mean(UNIT)

    def measured(self, magnitudes: Map) -> float:
        """The share of pixels above."""
        return float((magnitudes > self.eps).mean())
