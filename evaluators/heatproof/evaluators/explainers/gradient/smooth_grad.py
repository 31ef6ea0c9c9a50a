"""Averages the gradients of the class logit at images with noise."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.explainers.explainer import EXPLAINERS, ExplainerCategory, ExplainerFacts
from heatproof.evaluators.explainers.gradient.noisy_gradients import NoisyGradients
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.parameters import parameter


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class SmoothGrad(NoisyGradients):
    """Averages the gradients of the class logit at images with noise."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="smooth_grad",
        reference="Smilkov et al. 2017, arXiv 1706.03825",
        category=ExplainerCategory.GRADIENT,
    )

    squared: bool = parameter(
        default=False,
        summary="Average the squares and sum them over the channels, which forgets signs.",
    )

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        """`max over channels |mean_k g_k|`, or `sum over channels of mean_k g_k^2`."""
        found = yield from self.moments(sample)
        if self.squared:
            squares: Map = (found.variance + np.square(found.mean)).sum(axis=0)
            return squares
        strongest: Map = np.abs(found.mean).max(axis=0)
        return strongest
