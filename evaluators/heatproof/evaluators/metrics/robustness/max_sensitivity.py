"""Max-sensitivity: how far a map moves at most when the image does a little."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.metrics.robustness.noisy_maps import RelativeChanges
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True)
class MaxSensitivity(RelativeChanges):
    """Takes the largest relative change of the map under small noise on the image.

    `max over k of ||A_k - A|| / ||A||`, where `A_k` explains the same class on the image plus
    uniform noise, clipped to [0, 1]. It grows with the number of draws, and a map that is blind to
    the image scores 0: compare equal draws, beside a faithfulness metric.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="max_sensitivity",
        reference="Yeh et al. 2019, arXiv 1901.09392",
        category=MetricCategory.ROBUSTNESS,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.EXPLAINER),
    )
    summarize: ClassVar[Callable[[Sequence[float]], float]] = max
