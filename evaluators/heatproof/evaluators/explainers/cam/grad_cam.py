"""Weights the channels of an activation tensor by the means of their gradients."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.explainers.cam.gradient_map import GradientMap
from heatproof.evaluators.explainers.cam.tensor_map import Activations, Coarse, weighted
from heatproof.evaluators.explainers.explainer import EXPLAINERS, ExplainerCategory, ExplainerFacts


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class GradCam(GradientMap):
    """Weights the channels of an activation tensor by the means of their gradients."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="grad_cam",
        reference="Selvaraju et al. 2017, arXiv 1610.02391",
        category=ExplainerCategory.CAM,
    )

    def combined(self, activation: Activations, gradient: Activations) -> Coarse:
        """`sum_k mean(g_k) a_k`."""
        return weighted(gradient.mean(axis=(1, 2), dtype=np.float64), activation)
