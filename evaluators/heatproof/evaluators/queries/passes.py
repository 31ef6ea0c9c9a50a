"""One way to run one model: the key of batches, of sessions and of remote calls."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from heatproof.evaluators.removal.operator import Masking


@dataclass(frozen=True, slots=True)
class WeightNoise:
    """Factors, normal around 1, by which weights are multiplied.

    Attributes:
        deviation: standard deviation of the factors.
        draw: which of several draws.
    """

    deviation: float
    draw: int = 0


@dataclass(frozen=True, slots=True)
class Weights:
    """Which weights of a model are changed, and how.

    Attributes:
        layers: names of layers, in the order of the graph; none for the trained model.
        seed: of the draws.
        noise: what multiplies the weights; None where they are drawn anew.
    """

    layers: tuple[str, ...] = ()
    seed: int = 0
    noise: WeightNoise | None = None


TRAINED: Final = Weights()
"""The weights of the file."""

IMAGE: Final = ""
"""Stands for the input of the model where a tensor is named."""


class BackwardRules(StrEnum):
    """What rectifiers, Relu and Clip from 0, let pass of a gradient on its way back.

    EXACT: where their input is inside, the derivative. GUIDED: of that what is positive
    (Springenberg et al. 2015, arXiv 1412.6806). DECONVNET: what is positive, wherever their input
    is, but for the upper bound of a Clip (Zeiler and Fergus 2014, arXiv 1311.2901).
    """

    EXACT = "exact"
    GUIDED = "guided"
    DECONVNET = "deconvnet"


class Capability(StrEnum):
    """What a model may be unable to do beside its plain pass."""

    LAYER_MASKING = "layer_masking"
    GRADIENTS = "gradients"
    ACTIVATION_GRADIENTS = "activation_gradients"
    RECTIFIED_GRADIENTS = "rectified_gradients"
    FEATURES = "features"
    RANDOMIZATION = "randomization"
    CHANNEL_GATES = "channel_gates"


@dataclass(frozen=True, slots=True)
class ModelPass:
    """One way to run one model.

    Attributes:
        model: name of the model.
        weights: weights that are changed.
        masking: rules by which the network hides the masked regions of its input; None for none.
        wrt: tensor by which the class scores are differentiated, `IMAGE` for the input; None for a
            forward pass alone.
        taps: tensors whose values are wanted.
        gate: tensor whose channels are scaled by an input of their own; None for none.
        rules: how rectifiers are differentiated.
    """

    model: str
    weights: Weights = TRAINED
    masking: Masking | None = None
    wrt: str | None = None
    taps: tuple[str, ...] = ()
    gate: str | None = None
    rules: BackwardRules = BackwardRules.EXACT

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        """What the model must be able to do."""
        gradients = Capability.GRADIENTS if self.wrt == IMAGE else Capability.ACTIVATION_GRADIENTS
        if self.rules is not BackwardRules.EXACT:
            gradients = Capability.RECTIFIED_GRADIENTS
        asked = {
            Capability.RANDOMIZATION: bool(self.weights.layers),
            Capability.LAYER_MASKING: self.masking is not None,
            gradients: self.wrt is not None,
            Capability.FEATURES: bool(self.taps),
            Capability.CHANNEL_GATES: self.gate is not None,
        }
        return tuple(capability for capability, is_asked in asked.items() if is_asked)
