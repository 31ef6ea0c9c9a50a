"""Average sensitivity: how far a map moves on average when the image does a little."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar

from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.metrics.robustness.noisy_maps import RelativeChanges
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True)
class AverageSensitivity(RelativeChanges):
    """Takes the mean relative change of the map under small noise on the image.

    `mean over k of ||A_k - A|| / ||A||`, over the draws of `MaxSensitivity`, with which it shares
    them. It does not grow with the number of draws.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="average_sensitivity",
        reference="Yeh et al. 2019, arXiv 1901.09392",
        category=MetricCategory.ROBUSTNESS,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.EXPLAINER),
    )
    summarize: ClassVar[Callable[[Sequence[float]], float]] = fmean
