"""Weighs what a user states of a class output against what its graph shows."""

from dataclasses import dataclass
from typing import Final

import onnx_ir as ir

from heatproof.evaluators.errors import InvalidArgumentError, UnsupportedModelError
from heatproof.evaluators.queries.class_outputs import Activation as Stated
from heatproof.evaluators.queries.class_outputs import Basis
from heatproof.graphs.heads.scores import Activation, Kind, Scores

HOW: Final = (
    "state what they are with activation (--activation softmax, sigmoid, logits or sigmoid_logits)"
)
"""The way out where values are not understood."""

_FOUND: Final = {
    Kind.SOFTMAX: Activation.SOFTMAX,
    Kind.SIGMOID: Activation.SIGMOID,
    Kind.LOG_SOFTMAX: Activation.LOG_SOFTMAX,
}

_AGREES: Final = {
    Stated.SOFTMAX: {Kind.SOFTMAX},
    Stated.SIGMOID: {Kind.SIGMOID},
    Stated.LOGITS: {Kind.LOG_SOFTMAX},
    Stated.SIGMOID_LOGITS: frozenset[Kind](),
}
"""Which findings bear out a statement: logarithms of probabilities are logits."""

_STATED: Final = {Stated.SOFTMAX: Kind.SOFTMAX, Stated.SIGMOID: Kind.SIGMOID}


@dataclass(frozen=True, slots=True)
class Interpretation:
    """How the values of an output are read.

    Attributes:
        activation: what they are.
        scores: what is known of them; None if they are logits.
        basis: what this rests on.
        words: the same in words.
    """

    activation: Activation
    scores: Scores | None
    basis: Basis
    words: str


def interpreted(
    output: ir.Value,
    scores: Scores | None,
    stated: Stated | None,
    *,
    is_binary: bool,
    is_linear: bool,
) -> Interpretation:
    """How the values of an output are read.

    Raises:
        UnsupportedModelError: they are no scores, or what they are must be stated.
        InvalidArgumentError: what is stated contradicts the graph.
    """
    if scores is not None and scores.kind is Kind.CONSTANT:
        raise UnsupportedModelError(
            f"output {output.name!r} ends in a softmax over a single value, {scores.way}, which "
            "is 1 for every image; export the logit, or its sigmoid"
        )
    if scores is not None and scores.kind in _FOUND:
        return _found(output, scores, stated)
    if stated is None:
        return _unstated(output, scores, is_binary=is_binary, is_linear=is_linear)
    if stated is Stated.LOGITS or (stated is Stated.SIGMOID_LOGITS and is_binary):
        return Interpretation(Activation.NONE, None, Basis.STATED, _binary("logits", is_binary))
    if stated is Stated.SIGMOID_LOGITS:
        words = f"{stated} as stated by the user"
        return Interpretation(Activation.SIGMOID_LOGITS, None, Basis.STATED, words)
    if stated is Stated.SOFTMAX and is_binary:
        raise InvalidArgumentError(
            f"output {output.name!r} holds one value an image, and a softmax of one value is "
            "always 1; state sigmoid if it is a probability, logits if it is not",
            field="activation",
        )
    kind = _STATED[stated]
    words = _binary(f"{stated} as stated by the user", is_binary)
    return Interpretation(_FOUND[kind], Scores(kind), Basis.STATED, words)


def _found(output: ir.Value, scores: Scores, stated: Stated | None) -> Interpretation:
    if stated is not None and scores.kind not in _AGREES[stated]:
        raise InvalidArgumentError(
            f"activation is stated as {stated}, but output {output.name!r} holds the "
            f"{scores.kind} of {scores.way}; leave activation out",
            field="activation",
        )
    also = ", as stated by the user" if stated is not None else ""
    scale = "" if abs(scores.total - 1) <= 0.01 else f", times {scores.total:.4g}"  # rounding
    words = f"{scores.kind} found in the graph: {scores.way}{scale}{also}"
    return Interpretation(_FOUND[scores.kind], scores, Basis.GRAPH, words)


def _unstated(
    output: ir.Value, scores: Scores | None, *, is_binary: bool, is_linear: bool
) -> Interpretation:
    if scores is not None and scores.kind is Kind.DERIVED:
        raise UnsupportedModelError(
            f"the values of output {output.name!r} are computed of {scores.trail[0]} alone, up to "
            f"{scores.trail[-1]}, by operators that are not understood; {HOW}"
        )
    if scores is not None:
        ends = "[-1, 1]" if scores.kind is Kind.SIGNED else "[0, 1]"
        raise UnsupportedModelError(
            f"the values of output {output.name!r} lie in {ends} by {scores.way}, but which "
            f"activation made them is not known; {HOW}"
        )
    unless = "" if is_linear else ", unless all first answers lie in [0, 1]"
    words = f"no activation found in the graph: taken for logits{unless}"
    words = _binary(words, is_binary)
    return Interpretation(Activation.NONE, None, Basis.ASSUMED, words)


def _binary(words: str, is_binary: bool) -> str:  # noqa: FBT001  # one word of a sentence
    return f"{words}, one value for two classes" if is_binary else words
