"""Holds the first real answers of a model against what was found or stated of its output."""

from typing import Final

import numpy as np
from jaxtyping import Float32, Float64

from heatproof.evaluators.errors import InvalidArgumentError, UnsupportedModelError
from heatproof.evaluators.queries.class_outputs import (
    COARSE,
    Activation,
    Basis,
    ClassOutput,
    Reading,
)

MOST_ANSWERS: Final = 16
"""Answers that are waited for before answers that look like probabilities are refused."""

STATED_TOLERANCE: Final = 2e-2
"""How far stated probabilities may leave [0, 1], and their sum 1: exporters round them."""

_LOGITS: Final = frozenset({"none", Activation.SIGMOID_LOGITS})
_FEWEST_AGAINST_STATEMENT: Final = 2
_CHANCE_LIMIT: Final = float(np.log(1e7)) + 1e-3
"""Logits of probabilities in [0, 1] lie within this; see `graphs.canonical.ending`."""


class FirstAnswers:
    """Watches the answers of one model.

    An activation that was found in the graph is not questioned. One that was stated is held against
    every answer. Where nothing is known, the first answers together decide: logits do not lie in
    [0, 1], image after image. Those of a linear layer may be small: of them the sum must be 1 too.

    Args:
        reading: how the class scores are read; None if nobody knows.
        expected: number of answers that will come.
    """

    def __init__(self, reading: Reading | None, expected: int) -> None:
        self._reading = reading
        self._expected = min(expected, MOST_ANSWERS)
        self._seen = 0
        self._suspicious = 0

    def see(self, logits: Float32[np.ndarray, "classes"]) -> None:
        """Takes one answer in; answers that are not finite say nothing.

        Raises:
            UnsupportedModelError: the answers look like probabilities, and nothing is known of an
                activation.
            InvalidArgumentError: they contradict what the user stated.
        """
        reading = self._reading
        if reading is None or reading.output.basis is Basis.GRAPH:
            return
        if np.isfinite(logits).all():
            wide = logits.astype(np.float64)
            self._suspicious += _looks_probable(wide, reading)
            _require_stated(wide, reading)
        else:
            self._expected -= 1
            return
        self._seen += 1
        if self._seen == self._suspicious == self._expected:
            self._refuse(reading)

    def _refuse(self, reading: Reading) -> None:
        output = reading.output
        if output.basis is Basis.ASSUMED:
            raise UnsupportedModelError(
                f"{_what(reading)}, and no activation was found behind output {output.output!r}: "
                f"{_way_out(reading)}",
            )
        if output.activation in _LOGITS and self._seen >= _FEWEST_AGAINST_STATEMENT:
            raise InvalidArgumentError(
                f"activation is stated as {_stated(output)}, but {_what(reading)}: state softmax",
                field="activation",
            )


def _stated(output: ClassOutput) -> str:
    return Activation.LOGITS if output.activation == "none" else output.activation


def _looks_probable(logits: Float64[np.ndarray, "classes"], reading: Reading) -> bool:
    """Whether values that are taken for logits look like probabilities."""
    output, slack = reading.output, reading.tolerance
    if output.basis is Basis.ASSUMED and not reading.is_linear:
        slack = COARSE  # whatever came after the last layer may have rounded
    if output.activation not in _LOGITS:
        return False
    if output.is_binary:
        value = logits[1] - logits[0]
        if reading.is_linear or output.basis is Basis.STATED:
            return bool(value == 1) and output.basis is Basis.ASSUMED
        return bool(-slack <= value <= 1 + slack)
    in_range = bool(logits.min() >= -slack and logits.max() <= 1 + slack)
    if output.basis is Basis.ASSUMED and not reading.is_linear:
        return in_range
    return in_range and abs(float(logits.sum()) - 1) <= slack


def _what(reading: Reading) -> str:
    if reading.output.is_binary:
        return "the model's first answers, one value an image, all lie in [0, 1]"
    if reading.output.basis is Basis.ASSUMED and not reading.is_linear:
        return "the model's first answers all lie in [0, 1]"
    return "the model's first answers all lie in [0, 1] and sum to 1"


def _way_out(reading: Reading) -> str:
    """What to state; a linear layer whose value is always 1 is beyond help."""
    if not reading.output.is_binary:
        return (
            "state activation: --activation softmax if they are probabilities that sum to 1, "
            "--activation sigmoid if each is a probability by itself, --activation logits if they "
            "are scores before an activation"
        )
    return (
        "state activation (--activation sigmoid) if it is the probability of class 1, or "
        "--activation logits if it is not"
    )


def _require_stated(logits: Float64[np.ndarray, "classes"], reading: Reading) -> None:
    """Refuses answers that are not what the user says they are.

    Raises:
        InvalidArgumentError: they are not.
    """
    output = reading.output
    if output.basis is not Basis.STATED:
        return
    if output.activation == Activation.SOFTMAX:
        shares = np.exp(logits)
        if shares.max() <= 1 + STATED_TOLERANCE and abs(shares.sum() - 1) <= STATED_TOLERANCE:
            return
        fault = f"do not lie in [0, 1] with a sum of 1 (largest {shares.max():.4g}, sum of those "
        fault += f"above 0 {shares.sum():.4g})"
    elif output.activation == Activation.SIGMOID:
        values = logits[1:] - logits[:1] if output.is_binary else logits
        if np.abs(values).max() <= _CHANCE_LIMIT:
            return
        fault = "do not lie in [0, 1]"
    else:
        return
    raise InvalidArgumentError(
        f"activation is stated as {output.activation}, but the values of output "
        f"{output.output!r} {fault}; state logits if they are scores before an activation",
        field="activation",
    )
