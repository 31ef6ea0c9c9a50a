"""Average stability: how far a map moves on average, in units of its own magnitude a pixel."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar

import numpy as np

from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.metrics.robustness.noisy_maps import (
    DRAW_COUNTS,
    DRAWS,
    RADII,
    RADIUS,
    NoisyMaps,
)
from heatproof.evaluators.metrics.robustness.perturbed_maps import (
    NORMALIZATION,
    ExplainedImage,
    Normalization,
)
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.registry.parameters import parameter
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True)
class AverageStability(NoisyMaps):
    """Takes the mean distance of the maps under noise on the image from the map.

    `mean over k of ||A_k - A|| / sqrt(HW)`, each map divided by its own root mean square: the
    difference of a pixel in units of the map's magnitude. Published over maps as they are, whose
    unit the score then has.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="average_stability",
        reference="Bhatt et al. 2020, arXiv 2005.00631",
        category=MetricCategory.ROBUSTNESS,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.EXPLAINER),
    )
    summarize: ClassVar[Callable[[Sequence[float]], float]] = fmean

    radius: float = parameter(0.1, RADIUS, within=RADII)
    draws: int = parameter(20, DRAWS, within=DRAW_COUNTS)
    normalization: Normalization = parameter(Normalization.RMS, NORMALIZATION, is_shared=True)

    def change(self, clean: ExplainedImage, moved: ExplainedImage) -> Procedure[float]:
        """`||A_k - A||_2 / sqrt(HW)`."""
        yield from ()
        return float(np.linalg.norm(moved.map - clean.map) / np.sqrt(clean.map.size))
