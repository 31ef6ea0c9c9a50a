"""Weights the channels of an activation tensor by their gradients averaged over activations."""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from heatproof.evaluators.explainers.cam.gradient_map import GradientMap
from heatproof.evaluators.explainers.cam.tensor_map import Activations, Coarse, weighted
from heatproof.evaluators.explainers.explainer import EXPLAINERS, ExplainerCategory, ExplainerFacts

_LEAST_SUM: Final = 1e-12


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class XgradCam(GradientMap):
    """Weights the channels of an activation tensor by their gradients averaged over activations."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="xgrad_cam",
        reference="Fu et al. 2020, arXiv 2008.02312",
        category=ExplainerCategory.CAM,
    )

    def combined(self, activation: Activations, gradient: Activations) -> Coarse:
        """`sum_k w_k a_k` with `w_k = sum(g_k a_k) / sum a_k`; 0 for a channel that sums to 0."""
        sums = activation.sum(axis=(1, 2), dtype=np.float64)
        shares = (gradient.astype(np.float64) * activation).sum(axis=(1, 2))
        is_vanishing = np.abs(sums) <= _LEAST_SUM
        weights = np.divide(shares, sums, out=np.zeros_like(sums), where=~is_vanishing)
        return weighted(weights, activation)
