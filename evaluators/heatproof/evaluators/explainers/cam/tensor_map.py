"""Maps made of one activation tensor: what class activation maps have in common."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from jaxtyping import Float32, Float64

from heatproof.evaluators.errors import InvalidArgumentError, UnknownNameError
from heatproof.evaluators.explainers.explainer import Explainer
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.images.frames import stretched
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Procedure, predict
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.parameters import parameter

_SPATIAL_RANK: Final = 3

Activations: TypeAlias = Float32[np.ndarray, "channels rows columns"]
"""The tensor for one image, or its gradient."""

Coarse: TypeAlias = Float64[np.ndarray, "rows columns"]
"""A map of the tensor's own size."""


@dataclass(frozen=True, slots=True)
class TensorMap(Explainer):
    """Makes a map of an activation tensor: `max(0, coarse)`, stretched bilinearly."""

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
        if not self.tensor_of(model):
            raise InvalidArgumentError(
                f"{model.model} has no spatial tensor before its global pool: set tensor",
                field="tensor",
            )

    def tensor_of(self, model: PredictorFacts) -> str:
        """The tensor that is named, or the model's own; "" if it has none."""
        return self.tensor or model.cam_tensor

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        """The positive part of the coarse map, stretched bilinearly over the input."""
        coarse = yield from self.coarse(sample)
        return stretched(np.maximum(coarse, 0), sample.height, sample.width)

    @abstractmethod
    def coarse(self, sample: Sample) -> Procedure[Coarse]:
        """Makes the map of the tensor's own size, of either sign."""

    def look(self, sample: Sample) -> Procedure[Activations]:
        """Asks for the tensor by a forward pass."""
        tensor = self.tensor_of(sample.facts)
        answer = yield from predict(sample.tapped_view(tensor))
        return self.spatial(sample, answer.features[tensor])

    def spatial(self, sample: Sample, activation: Float32[np.ndarray, "..."]) -> Activations:
        """The tensor of one image.

        Raises:
            InvalidArgumentError: it is not made of channels, rows and columns.
        """
        if activation.ndim != _SPATIAL_RANK:
            raise InvalidArgumentError(
                f"tensor {self.tensor_of(sample.facts)!r} has the shape {activation.shape} for one "
                f"image, but {self.name} needs channels, height and width: name another tensor",
                field="tensor",
            )
        return activation


def weighted(weights: Float64[np.ndarray, "channels"], activation: Activations) -> Coarse:
    """The sum of the channels by their weights."""
    return np.asarray(np.tensordot(weights, activation.astype(np.float64), axes=1))
