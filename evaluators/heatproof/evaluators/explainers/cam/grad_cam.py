"""Weights the channels of an activation tensor by the means of their gradients."""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from heatproof.evaluators.errors import InvalidArgumentError, UnknownNameError
from heatproof.evaluators.explainers.explainer import (
    EXPLAINERS,
    Explainer,
    ExplainerCategory,
    ExplainerFacts,
)
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.images.frames import stretched
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Procedure, differentiate
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.parameters import parameter

_SPATIAL_RANK: Final = 3


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class GradCam(Explainer):
    """Weights the channels of an activation tensor by the means of their gradients."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="grad_cam",
        reference="Selvaraju et al. 2017, arXiv 1610.02391",
        category=ExplainerCategory.CAM,
    )

    tensor: str = parameter(
        "", "Activation tensor; empty: the last spatial one before the global pool."
    )

    def check(self, model: PredictorFacts) -> None:
        """Refuses tensors that the model lacks, and a model without a default one.

        Raises:
            UnknownNameError: the model has no such tensor; offers the nearest.
            InvalidArgumentError: no tensor is named and none is the last before a global pool.
        """
        if self.tensor and model.tensors and self.tensor not in model.tensors:
            raise UnknownNameError.among("tensor", self.tensor, model.tensors, field="tensor")
        if not self._tensor(model):
            raise InvalidArgumentError(
                f"{model.model} has no spatial tensor before its global pool: set tensor",
                field="tensor",
            )

    def passes(self, model: PredictorFacts) -> tuple[ModelPass, ...]:
        """A gradient by the tensor."""
        tensor = self._tensor(model)
        return (ModelPass(model.model, wrt=tensor),) if tensor else ()

    def cost(self, model: PredictorFacts) -> int:
        """Asks for one gradient."""
        return 1

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        """`relu(sum_k mean(d z_c / d A_k) A_k)`, stretched bilinearly over the input."""
        tensor = self._tensor(sample.facts)
        found = yield from differentiate(sample.gradient_view(wrt=tensor))
        if found.activation.ndim != _SPATIAL_RANK:
            raise InvalidArgumentError(
                f"tensor {tensor!r} has the shape {found.activation.shape} for one image, but "
                "Grad-CAM needs channels, height and width: name another tensor",
                field="tensor",
            )
        weights = found.gradient.mean(axis=(1, 2), dtype=np.float64)
        coarse = np.tensordot(weights, found.activation.astype(np.float64), axes=1)
        return stretched(np.maximum(coarse, 0), sample.height, sample.width)

    def _tensor(self, model: PredictorFacts) -> str:
        """The tensor that is named, or the model's own; "" if it has none."""
        return self.tensor or model.cam_tensor
