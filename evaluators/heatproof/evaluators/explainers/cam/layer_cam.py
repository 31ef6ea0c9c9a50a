"""Multiplies an activation tensor by its positive gradients cell by cell."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.explainers.cam.gradient_map import GradientMap
from heatproof.evaluators.explainers.cam.tensor_map import Activations, Coarse
from heatproof.evaluators.explainers.explainer import EXPLAINERS, ExplainerCategory, ExplainerFacts


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class LayerCam(GradientMap):
    """Multiplies an activation tensor by its positive gradients cell by cell."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="layer_cam",
        reference="Jiang et al. 2021, doi 10.1109/TIP.2021.3089943",
        category=ExplainerCategory.CAM,
    )

    def combined(self, activation: Activations, gradient: Activations) -> Coarse:
        """`sum_k max(0, g_k) a_k`."""
        positive = np.maximum(gradient.astype(np.float64), 0)
        products: Coarse = (positive * activation).sum(axis=0)
        return products
