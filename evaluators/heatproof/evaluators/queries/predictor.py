"""The seam between the science and whatever runs the model."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from heatproof.evaluators.images.arrays import Images, Logits, Masks
from heatproof.evaluators.queries.class_outputs import Reading
from heatproof.evaluators.queries.model_warnings import ModelWarning


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A capability that a model lacks, and why.

    Attributes:
        capability: `layer_masking`, `gradients` or `activation_gradients`.
        reason: the blocking node and what is supported.
    """

    capability: str
    reason: str


@dataclass(frozen=True, slots=True)
class PredictorFacts:
    """What the science must know of a model.

    Attributes:
        model: its name, `models/sha256-...`.
        height: height of the input in pixels.
        width: width of the input in pixels.
        classes: number of classes.
        probabilities: how logits become probabilities: `softmax` or `sigmoid`.
        batch_size: rows of every batch, at least 2; the caller pads.
        cam_tensor: default tensor for class activation maps, "" if there is none.
        layer_masking: None if regions can be hidden inside the network, else why not.
        gradients: None if gradients by the image can be had, else why not.
        activation_gradients: the same of gradients by `cam_tensor`, which need no gradient of what
            lies before it, such as a preprocessing of whole numbers inside the graph.
        tensors: names of the tensors that can be differentiated by; empty if they are not known.
        reading: how the class scores are read from the model's output; None if that is not known.
        warnings: what was done to the model before it was run.
    """

    model: str
    height: int
    width: int
    classes: int
    probabilities: str
    batch_size: int
    cam_tensor: str
    layer_masking: Shortfall | None
    gradients: Shortfall | None
    activation_gradients: Shortfall | None
    tensors: frozenset[str] = frozenset()
    reading: Reading | None = None
    warnings: tuple[ModelWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class MaskedLogits:
    """Answers of a layer-masked model.

    Attributes:
        logits: class scores.
        coverage: visible share of the last spatial mask, in [0, 1].
    """

    logits: Logits
    coverage: Float32[np.ndarray, "batch"]


@dataclass(frozen=True, slots=True)
class Gradients:
    """Vector-Jacobian products of a batch.

    Attributes:
        logits: class scores of the forward pass.
        activations: the tensor that was differentiated by; the images themselves for the input.
        gradients: gradient in that tensor, of its shape.
    """

    logits: Logits
    activations: Float32[np.ndarray, "batch ..."]
    gradients: Float32[np.ndarray, "batch ..."]


@runtime_checkable
class Predictor(Protocol):
    """Runs one model on full batches of canonical images: RGB in [0, 1].

    Every method takes exactly `facts.batch_size` rows. Equal rows at equal positions give equal
    bits. All raise UnsupportedOperatorError if the model lacks the capability, and CancelledError
    within one batch after a cancellation.
    """

    @property
    def facts(self) -> PredictorFacts:
        """What the model is and can do."""
        ...

    def logits(self, images: Images) -> Logits:
        """Runs the plain model."""
        ...

    def masked_logits(self, images: Images, masks: Masks, mode: str) -> MaskedLogits:
        """Runs the layer-masked model; `mode` is `reference` or `strict`."""
        ...

    def gradients(self, images: Images, output_gradients: Logits, tensor: str) -> Gradients:
        """Multiplies gradients of the logits into the Jacobian by `tensor`; "" is the input."""
        ...
