"""Which output of a model holds its class scores, and how they are read."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

EXACT: Final = 1e-4
"""How far sums of probabilities in float32 are from 1 at most; chance hits it once in thousands."""

COARSE: Final = 1e-2
"""The same after a rounding to half precision or to 256 levels."""


class Activation(StrEnum):
    """What the values of a class output are, as a user states it."""

    LOGITS = "logits"
    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"
    SIGMOID_LOGITS = "sigmoid_logits"


class Basis(StrEnum):
    """On what the reading of a class output rests."""

    GRAPH = "graph"
    """The activation was found in the graph."""

    STATED = "stated"
    """The user stated the activation, which the graph does not show."""

    ASSUMED = "assumed"
    """Nothing was found and nothing stated: the values are taken for logits."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a user says of the class output.

    Attributes:
        output: its name; "" leaves the choice to the graph.
        activation: what its values are; None leaves that to the graph.
    """

    output: str = ""
    activation: Activation | None = None


UNSTATED: Final = Statement()
"""Leaves everything to the graph."""


@dataclass(frozen=True, slots=True)
class ClassOutput:
    """How a model's class scores are read; fields as in the message of the same name.

    Attributes:
        model: name of the model.
        output: name of the output that holds the scores.
        logits: name of the tensor that the logits are read from.
        classes: number of classes; 2 where one value tells two classes apart.
        activation: what the values of the output are: `none` (logits), `softmax`, `log_softmax`,
            `sigmoid` or `sigmoid_logits` (logits of each class by itself).
        is_binary: whether the output holds one value an image: class 1 against class 0.
        basis: what the activation rests on.
        decision: how output and activation were decided, in words.
    """

    model: str
    output: str
    logits: str
    classes: int
    activation: str
    is_binary: bool
    basis: Basis
    decision: str

    @property
    def is_each_by_itself(self) -> bool:
        """Whether probabilities are of each class by itself, and not among the classes."""
        each = {Activation.SIGMOID, Activation.SIGMOID_LOGITS}
        return self.activation in each and not self.is_binary


@dataclass(frozen=True, slots=True)
class Reading:
    """A class output with what its answers are checked by.

    Attributes:
        output: how the scores are read.
        tolerance: how far sums of its probabilities may be from 1.
        is_linear: whether the scores leave a linear layer, which has no bounds.
    """

    output: ClassOutput
    tolerance: float = EXACT
    is_linear: bool = False
