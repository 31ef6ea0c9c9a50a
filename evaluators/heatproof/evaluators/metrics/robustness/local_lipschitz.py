"""Local Lipschitz estimate: how fast a map moves with its image at most."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.metrics.robustness.noisy_maps import RADII, NoiseKind, NoisyMaps
from heatproof.evaluators.metrics.robustness.perturbed_maps import (
    NORMALIZATION,
    ExplainedImage,
    Normalization,
    over_distance,
)
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.registry.parameters import parameter
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True)
class LocalLipschitz(NoisyMaps):
    """Takes the largest change of the map over the change of the image, under normal noise.

    `max over k of ||A_k - A|| / ||x_k - x||`. It grows with the number of draws, and a map that is
    blind to the image scores 0.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="local_lipschitz",
        reference="Alvarez-Melis and Jaakkola 2018, arXiv 1806.08049",
        category=MetricCategory.ROBUSTNESS,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.EXPLAINER),
    )
    summarize: ClassVar[Callable[[Sequence[float]], float]] = max
    noise: ClassVar[NoiseKind] = NoiseKind.NORMAL

    radius: float = parameter(
        0.1,
        "Standard deviation of the noise on a pixel in [0, 1].",
        within=RADII,
    )
    normalization: Normalization = parameter(Normalization.MAX, NORMALIZATION, is_shared=True)

    def change(self, clean: ExplainedImage, moved: ExplainedImage) -> Procedure[float]:
        """`||A_k - A||_2 / ||x_k - x||_2`."""
        yield from ()
        return over_distance(float(np.linalg.norm(moved.map - clean.map)), clean, moved)
