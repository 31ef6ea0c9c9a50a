"""What a user says of the output that holds a model's class scores."""

from collections.abc import Mapping
from typing import TypedDict, cast

from heatproof.v1.class_output_pb2 import ClassOutput

ACTIVATIONS = {
    "none": "logits",
    "log_softmax": "logarithms of softmax probabilities",
    "sigmoid_logits": "logits of sigmoids",
}
"""What values are, where the name of the activation does not say it."""


class StatementOptions(TypedDict, total=False):
    """What is said of the class output; what is left out is found in the graph.

    Attributes:
        output: name of the output that holds the class scores.
        activation: what its values are: `softmax`, `sigmoid`, `logits` or `sigmoid_logits`.
    """

    output: str
    activation: str


def statement_options(options: Mapping[str, object]) -> StatementOptions:
    """Those options that speak of the class output."""
    known = StatementOptions.__annotations__
    return cast("StatementOptions", {name: options[name] for name in known if name in options})


def described(held: ClassOutput) -> str:
    """How the class scores of a model are read, and why so, in one line."""
    values = ACTIVATIONS.get(held.activation, f"{held.activation} probabilities")
    count = "one value for 2 classes" if held.is_binary else f"{held.classes} classes"
    if held.activation in {"sigmoid", "sigmoid_logits"} and not held.is_binary:
        values += ", each class by itself"
    return f"{held.output} ({count}, {values}): {held.decision}"
