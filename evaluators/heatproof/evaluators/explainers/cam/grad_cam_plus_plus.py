"""Weights the channels of an activation tensor by tamed sums of their positive gradients."""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from heatproof.evaluators.explainers.cam.gradient_map import GradientMap
from heatproof.evaluators.explainers.cam.tensor_map import Activations, Coarse, weighted
from heatproof.evaluators.explainers.explainer import EXPLAINERS, ExplainerCategory, ExplainerFacts

_LEAST_DIVISOR: Final = 1e-12


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class GradCamPlusPlus(GradientMap):
    """Weights the channels of an activation tensor by tamed sums of their positive gradients."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="grad_cam_plus_plus",
        reference="Chattopadhay et al. 2018, arXiv 1710.11063",
        category=ExplainerCategory.CAM,
    )

    def combined(self, activation: Activations, gradient: Activations) -> Coarse:
        """`sum_k w_k a_k` with `w_k = sum over cells of g > 0 of g / (2 + S_k g)`, `S_k = sum a_k`.

        The published alpha times the positive gradient, simplified; cells whose divisor is not
        positive count 0.
        """
        slopes = gradient.astype(np.float64)
        sums = activation.sum(axis=(1, 2), keepdims=True, dtype=np.float64)
        divisors = 2 + sums * slopes
        is_counted = (slopes > 0) & (divisors > _LEAST_DIVISOR)
        tamed = np.divide(slopes, divisors, out=np.zeros_like(slopes), where=is_counted)
        # NaN compares as false and must not pass for 0.
        tamed[~np.isfinite(divisors)] = np.nan
        return weighted(tamed.sum(axis=(1, 2)), activation)
