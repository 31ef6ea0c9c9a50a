"""Weights the channels of an activation tensor by the means of their gradients."""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from heatproof.evaluators.errors import InvalidArgumentError, UnknownNameError
from heatproof.evaluators.explainers.explainer import EXPLAINERS
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.images.frames import stretched
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import GradientView, Procedure, differentiate
from heatproof.evaluators.queries.sample import Scene
from heatproof.evaluators.registry.parameters import parameter
from heatproof.evaluators.registry.registry import Need

_SPATIAL_RANK: Final = 3


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class GradCam:
    """Weights the channels of an activation tensor by the means of their gradients."""

    name: ClassVar[str] = "grad_cam"
    reference: ClassVar[str] = "Selvaraju et al. 2017, arXiv 1610.02391"
    needs: ClassVar[tuple[Need, ...]] = (Need.ACTIVATION_GRADIENTS,)

    tensor: str = parameter(
        "", "Activation tensor; empty: the last spatial one before the global pool."
    )

    def check(self, facts: PredictorFacts) -> None:
        """Refuses tensors that the model lacks, and a model without a default one.

        Raises:
            UnknownNameError: the model has no such tensor; offers the nearest.
            InvalidArgumentError: no tensor is named and none is the last before a global pool.
        """
        if self.tensor and facts.tensors and self.tensor not in facts.tensors:
            raise UnknownNameError.among("tensor", self.tensor, facts.tensors).at("tensor")
        if not (self.tensor or facts.cam_tensor):
            raise InvalidArgumentError(
                f"{facts.model} has no spatial tensor before its global pool: set tensor",
                field="tensor",
            )

    def predictions(self, facts: PredictorFacts) -> int:
        """Asks for one gradient."""
        return 1

    def explain(self, scene: Scene) -> Procedure[Map | Undefined]:
        """`relu(sum_k mean(d z_c / d A_k) A_k)`, stretched bilinearly over the input."""
        tensor = self.tensor or scene.facts.cam_tensor
        found = yield from differentiate(GradientView(scene.picture, scene.target_weights, tensor))
        if found.activation.ndim != _SPATIAL_RANK:
            raise InvalidArgumentError(
                f"tensor {tensor!r} has the shape {found.activation.shape} for one image, but "
                "Grad-CAM needs channels, height and width: name another tensor",
                field="tensor",
            )
        weights = found.gradient.mean(axis=(1, 2), dtype=np.float64)
        coarse = np.tensordot(weights, found.activation.astype(np.float64), axes=1)
        return stretched(np.maximum(coarse, 0), scene.height, scene.width)
