"""Effective heat ratio: the mass on the object among what exceeds a threshold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.images.arrays import Mask
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.localization.objects import (
    ObjectMetric,
    mass_share,
    positive_part,
)
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome, Undefined
from heatproof.evaluators.registry.parameters import UNIT, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction


@METRICS.register
@dataclass(frozen=True, slots=True)
class EffectiveHeatRatio(ObjectMetric):
    """Takes the share of the positive attributions above a threshold that lies on the object.

    `sum of A+ on O where A+ >= tau max / sum of A+ where A+ >= tau max`, averaged over thresholds.
    `chance` is the object's share of the input.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="effective_heat_ratio",
        reference="Zhang et al. 2018, arXiv 1608.00507",
        category=MetricCategory.LOCALIZATION,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.OBJECTS),
    )

    thresholds: tuple[float, ...] = parameter(
        (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
        "Thresholds, as shares of the highest attribution.",
        within=UNIT,
    )

    @property
    def reduction(self) -> Reduction:
        """The mean of the ratios."""
        return Mean(UNIT, (0.0, 1.0))

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """Chance is a share of pixels."""
        return {"chance": Mean(UNIT)}

    def compared(self, case: Case, objects: Mask) -> Outcome:
        """The mean over the thresholds."""
        heat = positive_part(case.map)
        if isinstance(heat, Undefined):
            return Outcome(heat)
        ratios = [mass_share(np.where(heat >= tau, heat, 0), objects) for tau in self.thresholds]
        return Outcome(UNIT.clip(float(np.mean(ratios))), {"chance": float(objects.mean())})
