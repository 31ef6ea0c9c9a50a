"""What is known of a tensor with one score a class."""

from dataclasses import dataclass
from enum import StrEnum

import onnx_ir as ir


class Activation(StrEnum):
    """What a model applies to its logits before it returns them."""

    NONE = "none"
    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"
    LOG_SOFTMAX = "log_softmax"
    SIGMOID_LOGITS = "sigmoid_logits"
    """Nothing, but each logit has a probability of its own."""


class Kind(StrEnum):
    """What the values of a tensor are, as far as its graph shows."""

    SOFTMAX = "softmax"
    """Never negative, and their sum over the classes is `total`."""

    SIGMOID = "sigmoid"
    """Each in [0, `total`] by itself."""

    LOG_SOFTMAX = "log_softmax"
    """Logarithms of a softmax."""

    BOUNDED = "bounded"
    """Each in [0, 1], but how they came about is not known, or probabilities are missing."""

    DERIVED = "derived"
    """Computed of activations alone, by operators that are not understood."""

    SIGNED = "signed"
    """Each in [-1, 1] by a Tanh or its like, which says nothing of probabilities."""

    CONSTANT = "constant"
    """1 whatever the image shows: a softmax over a single value."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What is known of a tensor with one score a class.

    Attributes:
        kind: what its values are.
        total: their sum over the classes, or the bound of each.
        logits: the tensor that the activation was applied to, if there is exactly one.
        trail: the nodes from the activation to the tensor, in words.
        is_coarse: whether the values were rounded to half precision or to quantized levels.
        members: how many activations were summed up or stacked.
    """

    kind: Kind
    total: float = 1.0
    logits: ir.Value | None = None
    trail: tuple[str, ...] = ()
    is_coarse: bool = False
    members: int = 1

    @property
    def way(self) -> str:
        """The nodes from the activation to the tensor, in words."""
        if not self.trail:
            return str(self.kind)
        first, *others = self.trail
        start = f"{self.members} x {first}" if self.members > 1 else first
        return f"{start} through {', '.join(others)}" if others else start


def described(node: ir.Node) -> str:
    """A node by its operator and its name."""
    return f"{node.op_type} {node.name!r}" if node.name else node.op_type
