"""Pointing game: whether the most salient pixel lies on the object."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy

from heatproof.evaluators.images.arrays import Mask
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.localization.objects import ObjectMetric
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome
from heatproof.evaluators.registry.parameters import UNIT, Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Proportion, Reduction


@METRICS.register
@dataclass(frozen=True, slots=True)
class PointingGame(ObjectMetric):
    """Asks whether the most salient pixel lies on the object.

    1 if an object pixel lies within `tolerance` pixels of the map's highest, ties drawn by the
    seed; the data set's score is the share of hits. `chance` is that of a random pixel. It measures
    agreement with people: a model that reads the background is punished for an honest map.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="pointing_game",
        reference="Zhang et al. 2016, arXiv 1608.00507",
        category=MetricCategory.LOCALIZATION,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.OBJECTS),
    )

    tolerance: float = parameter(
        15.0, "Distance in pixels that still counts as a hit.", within=Range(0, 100)
    )

    @property
    def reduction(self) -> Reduction:
        """The share of hits."""
        return Proportion()

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """Chance is a share of pixels."""
        return {"chance": Mean(UNIT)}

    def compared(self, case: Case, objects: Mask) -> Outcome:
        """`[distance of argmax A to the object <= tolerance]`."""
        near = scipy.ndimage.distance_transform_edt(~objects) <= self.tolerance
        highest = np.flatnonzero(case.map == case.map.max())
        pointed = case.sample.rng("ties").permutation(highest)[0]
        return Outcome(float(near.reshape(-1)[pointed]), {"chance": float(near.mean())})
