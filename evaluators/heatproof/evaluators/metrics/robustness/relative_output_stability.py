"""Relative output stability: the relative change of a map over the change of the answer."""

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
class RelativeOutputStability(RelativeStability):
    """Takes the largest relative change of the map over the change of the logits.

    `max over k of ||(A - A_k) / A||_2 / max(||z(x) - z(x_k)||_2, epsilon)`; the change of the
    logits is not relative to them.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="relative_output_stability",
        reference="Agarwal et al. 2022, arXiv 2203.06877",
        category=MetricCategory.ROBUSTNESS,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.EXPLAINER),
    )

    @property
    def reads_answers(self) -> bool:
        """It does."""
        return True

    def divisor(self, clean: ExplainedImage, moved: ExplainedImage) -> Procedure[float]:
        """`||z(x) - z(x_k)||_2`, over all classes."""
        yield from ()
        before, after = (one.sample.clean.logits.astype(np.float64) for one in (clean, moved))
        return float(np.linalg.norm(before - after))
