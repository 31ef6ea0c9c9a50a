"""Multiplies an activation tensor by its gradients cell by cell."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.explainers.cam.gradient_map import GradientMap
from heatproof.evaluators.explainers.cam.tensor_map import Activations, Coarse
from heatproof.evaluators.explainers.explainer import EXPLAINERS, ExplainerCategory, ExplainerFacts


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class HiresCam(GradientMap):
    """Multiplies an activation tensor by its gradients cell by cell."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="hires_cam",
        reference="Draelos and Carin 2020, arXiv 2011.08891",
        category=ExplainerCategory.CAM,
    )

    def combined(self, activation: Activations, gradient: Activations) -> Coarse:
        """`sum_k g_k a_k`."""
        products: Coarse = (gradient.astype(np.float64) * activation).sum(axis=0)
        return products
