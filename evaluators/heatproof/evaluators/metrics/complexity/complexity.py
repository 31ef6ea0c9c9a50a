"""Complexity: the entropy of the attribution over the pixels."""

import math
from dataclasses import dataclass
from typing import ClassVar

import scipy

from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.complexity.magnitudes import MagnitudeMetric
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, UNIT, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction


@METRICS.register
@dataclass(frozen=True, slots=True)
class Complexity(MagnitudeMetric):
    """Takes the entropy of the magnitudes of the map as shares of their sum, in nats.

    `-sum p ln p`, `p = |A| / sum |A|`: `ln n` for a constant map of n pixels, 0 for one pixel.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="complexity",
        reference="Bhatt et al. 2020, arXiv 2005.00631",
        category=MetricCategory.COMPLEXITY,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.ATTRIBUTION,),
    )

    relative: bool = parameter(
        default=False, summary="Whether it is divided by ln n, its highest value."
    )

    @property
    def reduction(self) -> Reduction:
        """The mean of the entropies."""
        return Mean(UNIT if self.relative else NOT_NEGATIVE)

    def measured(self, magnitudes: Map) -> float:
        """`-sum p ln p`, in [0, ln n]."""
        entropy = max(0.0, float(scipy.special.entr(magnitudes / magnitudes.sum()).sum()))
        if not self.relative:
            return entropy
        return UNIT.clip(entropy / math.log(magnitudes.size)) if magnitudes.size > 1 else 0.0
