"""Relative input stability: the relative change of a map over that of its image."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.metrics.robustness.perturbed_maps import ExplainedImage
from heatproof.evaluators.metrics.robustness.relative_stability import RelativeStability
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True)
class RelativeInputStability(RelativeStability):
    """Takes the largest relative change of the map over the relative change of the image.

    `max over k of ||(A - A_k) / A||_2 / max(||(x - x_k) / x||_2, epsilon)`, over the sums of A and
    the means of each channel of x in the regions of the clean image.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="relative_input_stability",
        reference="Agarwal et al. 2022, arXiv 2203.06877",
        category=MetricCategory.ROBUSTNESS,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.EXPLAINER),
    )

    def divisor(self, clean: ExplainedImage, moved: ExplainedImage) -> Procedure[float]:
        """`||(x - x_k) / x||_2`, of the regions' means in each channel."""
        yield from ()
        regions = clean.sample.regions(self.regions)
        before, after = (
            np.array([regions.means(channel) for channel in one.pixels]) for one in (clean, moved)
        )
        return self.relative_change(before, after)
