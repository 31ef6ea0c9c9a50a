"""The seam between the science and whatever runs the model."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from heatproof.evaluators.images.arrays import Images, Logits, Masks
from heatproof.evaluators.images.compositions import Composition, drawn
from heatproof.evaluators.queries.class_outputs import Reading
from heatproof.evaluators.queries.model_warnings import ModelWarning
from heatproof.evaluators.queries.passes import Capability, ModelPass


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A pass that a model cannot run, and why.

    Attributes:
        capability: what the model lacks.
        reason: the blocking node and what is supported.
    """

    capability: Capability
    reason: str


def _everything(run: ModelPass) -> Shortfall | None:  # noqa: ARG001  # whatever is asked
    return None


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
        supports: None for a pass that the model can run, else why not; found when asked.
        tensors: names of the tensors that can be differentiated by; empty if they are not known.
        channels: number of channels of spatial tensors, as far as it is known.
        layers: names of the layers whose weights can be drawn anew, in the order of the graph.
        in_flight: batches to submit before the answers to the first of them are awaited.
        cores: cores that may be used, beside the passes too.
        composes: whether rows are to be told as compositions, for the predictor draws them itself.
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
    supports: Callable[[ModelPass], Shortfall | None] = field(
        default=_everything, compare=False, repr=False
    )
    tensors: frozenset[str] = frozenset()
    channels: Mapping[str, int] = field(default_factory=dict, compare=False)
    layers: tuple[str, ...] = ()
    in_flight: int = 1
    cores: int = 1
    composes: bool = False
    reading: Reading | None = None
    warnings: tuple[ModelWarning, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What a pass is run on; every array has `batch_size` rows.

    Attributes:
        rows: canonical images, RGB in [0, 1]; of a predictor that composes, what they show.
        masks: visible pixels; None if the pass masks nothing.
        output_gradients: weight of each class score; None for a forward pass alone.
        gates: factor of each channel of the gated tensor; None if the pass gates nothing.
    """

    rows: Images | tuple[Composition, ...]
    masks: Masks | None = None
    output_gradients: Logits | None = None
    gates: Float32[np.ndarray, "batch channels"] | None = None

    @property
    def images(self) -> Images:
        """Canonical images; drawn at each call where compositions tell what they show."""
        return drawn(self.rows) if isinstance(self.rows, tuple) else self.rows

    @property
    def compositions(self) -> tuple[Composition, ...]:
        """What the rows show; images that are drawn are shown whole."""
        if isinstance(self.rows, tuple):
            return self.rows
        return tuple(map(Composition, self.rows))


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a pass gives for a batch; every array has `batch_size` rows.

    Attributes:
        logits: class scores.
        coverage: visible share of the last spatial mask, in [0, 1]; None without masking.
        activations: the tensor that was differentiated by; the images themselves for the input;
            None for a forward pass alone.
        gradients: gradient in that tensor, of its shape.
        features: the tapped tensors by name.
    """

    logits: Logits
    coverage: Float32[np.ndarray, "batch"] | None = None
    activations: Float32[np.ndarray, "batch ..."] | None = None
    gradients: Float32[np.ndarray, "batch ..."] | None = None
    features: Mapping[str, Float32[np.ndarray, "batch ..."]] = field(default_factory=dict)


@runtime_checkable
class Predictor(Protocol):
    """Runs one model on full batches."""

    @property
    def facts(self) -> PredictorFacts:
        """What the model is and can do."""
        ...

    def submit(self, run: ModelPass, batch: Batch) -> "Future[Answers]":
        """Runs a batch of exactly `facts.batch_size` rows, perhaps beside others.

        Equal rows at equal positions give equal bits. The future raises UnsupportedOperatorError if
        the model cannot run the pass, and CancelledError within one batch after a cancellation.
        """
        ...
