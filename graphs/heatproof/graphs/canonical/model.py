"""The canonical form of an image classifier."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import onnx_ir as ir

from heatproof.evaluators.images.preprocessing import Preprocessing
from heatproof.graphs.canonical.capabilities import Capabilities
from heatproof.graphs.heads.choosing import ClassOutput
from heatproof.graphs.heads.scores import Activation

if TYPE_CHECKING:  # the runtime runs canonical models
    from heatproof.graphs.runtime.cancellation import Cancellation


class RowCheck(Protocol):
    """Makes sure, once, that a model answers for each image of a batch alone."""

    def run(self, cancellation: "Cancellation") -> None:
        """Returns if that is so.

        Raises:
            UnsupportedModelError: it is not.
            CancelledError: the work was cancelled.
        """
        ...


@dataclass(frozen=True, slots=True)
class CanonicalModel:
    """A classifier in canonical form.

    Attributes:
        model: graph from one input, float32 RGB [N, 3, height, width] in [0, 1], to one output,
            float32 logits [N, classes]; N is free.
        input_name: name of the input.
        logits: name of the output.
        height: rows of the input in pixels.
        width: columns of the input in pixels.
        classes: number of classes.
        output: the class output of the original model, and how its scores are read.
        cam_tensor: default tensor for class activation maps: the last feature map; "" if none.
        tensors: names of all tensors that the graph computes.
        channels: size of the second axis of those of rank 4, as far as it is fixed.
        preprocessing: what the graph contains, with the size resolved.
        capabilities: which passes beyond the plain one the graph can run.
        row_check: to be run before the first answer; does nothing if it has been.
        is_run_alone: whether every pass must hold one image, for what shares a batch shares scales.
    """

    model: ir.Model
    input_name: str
    logits: str
    height: int
    width: int
    classes: int
    output: ClassOutput
    cam_tensor: str
    tensors: frozenset[str]
    channels: Mapping[str, int]
    preprocessing: Preprocessing
    capabilities: Capabilities
    row_check: RowCheck
    is_run_alone: bool = False

    @property
    def activation(self) -> Activation:
        """What the original model applied to the logits."""
        return self.output.activation

    @property
    def are_independent(self) -> bool:
        """Whether each logit has a probability of its own, its sigmoid, and they need not sum to 1.

        One value for two classes has become two logits whose softmax is its sigmoid.
        """
        each = {Activation.SIGMOID, Activation.SIGMOID_LOGITS}
        return self.activation in each and not self.output.is_binary
