"""Sparseness: how unevenly the attribution is spread over the pixels."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.complexity.magnitudes import MagnitudeMetric
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.registry.parameters import UNIT
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction


@METRICS.register
@dataclass(frozen=True, slots=True)
class Sparseness(MagnitudeMetric):
    """Takes the Gini index of the magnitudes of the map.

    `sum_i (2i - n - 1) a_(i) / (n sum a)` over the magnitudes a in ascending order: 0 for a
    constant map, `1 - 1/n` for one pixel of n.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="sparseness",
        reference="Chalasani et al. 2020, arXiv 1810.06583",
        category=MetricCategory.COMPLEXITY,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION,),
    )

    @property
    def reduction(self) -> Reduction:
        """The mean of the indices."""
        return Mean(UNIT)

    def measured(self, magnitudes: Map) -> float:
        """The Gini index."""
        ascending = np.sort(magnitudes, axis=None)
        count = ascending.size
        weights = 2 * np.arange(1, count + 1) - count - 1
        return UNIT.clip(float((weights * ascending).sum() / (count * ascending.sum())))
