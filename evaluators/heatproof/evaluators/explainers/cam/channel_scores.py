"""Maps whose channels are weighted by what the model answers to each of them."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64

from heatproof.evaluators.explainers.cam.tensor_map import Activations, Coarse, TensorMap, weighted
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.parameters import Range, parameter

MOST_CHANNELS: Final = 4096
"""Channels that are counted for a tensor of which nothing is known."""

ChannelIndices = Int64[np.ndarray, "chosen"]


@dataclass(frozen=True, slots=True)
class ChannelScores(TensorMap):
    """Weights the channels of an activation tensor by an answer of the model for each."""

    channels: int = parameter(
        0,
        "Channels that are asked about, those that vary most; 0: all.",
        within=Range(0, MOST_CHANNELS),
    )

    def passes(self, model: PredictorFacts) -> tuple[ModelPass, ...]:
        """A look at the tensor."""
        tensor = self.tensor_of(model)
        return (ModelPass(model.model, taps=(tensor,)),) if tensor else ()

    def cost(self, model: PredictorFacts) -> int:
        """Looks once and asks for each channel."""
        known = model.channels.get(self.tensor_of(model), MOST_CHANNELS)
        return 1 + min(self.channels or known, known)

    def coarse(self, sample: Sample) -> Procedure[Coarse]:
        """`sum_k w_k a_k` over the chosen channels."""
        activation = yield from self.look(sample)
        chosen = most_varied(activation, self.channels)
        weights = yield from self.weights(sample, activation, chosen)
        return weighted(weights, activation[chosen])

    @abstractmethod
    def weights(
        self, sample: Sample, activation: Activations, chosen: ChannelIndices
    ) -> Procedure[Float64[np.ndarray, "chosen"]]:
        """Asks the model about each chosen channel."""


def most_varied(activation: Activations, channels: int) -> ChannelIndices:
    """The channels whose variance over the cells is largest, in their own order; 0: all.

    Of equal ones the first.
    """
    if channels == 0 or channels >= len(activation):
        return np.arange(len(activation))
    order = np.argsort(-activation.var(axis=(1, 2), dtype=np.float64), kind="stable")
    return np.sort(order[:channels])
