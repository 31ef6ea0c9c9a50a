"""Softmax and sigmoid written out in elementary operators.

- `exp(a) / sum exp(a)`, also with `a = z - max z`, as a quotient or a product with a reciprocal
- any values that are never negative, divided by their sum
- `z - logsumexp(z)` and `z - log sum exp(z)`
- `1 / (1 + exp(-z))` and `exp(z) / (1 + exp(z))`
- `1 - p`
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
import onnx_ir as ir

from heatproof.graphs.heads.axes import reduced_axes
from heatproof.graphs.heads.bounds import is_never_negative
from heatproof.graphs.heads.operands import Reads, times
from heatproof.graphs.heads.scores import Kind, Scores
from heatproof.graphs.nodes.constants import constant_operand

_WRAPPERS: Final = frozenset({"Identity", "Cast", "Expand", "Clip", "Unsqueeze", "Reshape"})
_SMALL: Final = 1e-6
"""Constants up to this are added to a divisor against zero alone."""


def difference(node: ir.Node, axis: int | None, reader: Reads) -> Scores | None:
    """1 - p, or z - logsumexp(z)."""
    one, logits = constant_operand(node, 0), node.inputs[0]
    if one is not None:
        found = reader.read(node.inputs[1], axis)
        is_chance = found is not None and found.kind is Kind.SIGMOID and found.total == 1
        unit = one.size == 1 and float(one.reshape(-1)[0]) == 1
        return replace(found, logits=None) if found is not None and is_chance and unit else None
    if axis is not None and logits is not None and _is_log_of_sum(node.inputs[1], logits, axis):
        return Scores(Kind.LOG_SOFTMAX, logits=logits)
    return None


def _is_log_of_sum(value: ir.Value | None, logits: ir.Value, axis: int) -> bool:
    node = _maker(value)
    if node is None:
        return False
    if node.op_type == "ReduceLogSumExp":
        return node.inputs[0] is logits and reduced_axes(node) == (axis,)
    inner = _maker(node.inputs[0]) if node.op_type == "Log" else None
    if inner is None or inner.op_type != "ReduceSum" or reduced_axes(inner) != (axis,):
        return False
    return _argument_of(inner.inputs[0], "Exp") is logits


def quotient(node: ir.Node, axis: int | None, reader: Reads) -> Scores | None:
    """A / c with a constant c, a / sum a, or a sigmoid."""
    divisor = constant_operand(node, 1)
    if divisor is not None:
        numbers = divisor.astype(np.float64)
        if numbers.min(initial=np.inf) <= 0:
            return None
        return times(reader.read(node.inputs[0], axis), 1 / numbers)
    numerator = constant_operand(node, 0)
    if numerator is not None:
        return _inverse(node.inputs[1]) if (numerator == 1).all() else None
    return _normalized(node.inputs[0], node.inputs[1], axis)


def product(node: ir.Node, axis: int | None, reader: Reads) -> Scores | None:  # noqa: ARG001  # a rule
    """A times the reciprocal of its sum."""
    for place in (0, 1):
        divisor = _argument_of(node.inputs[place], "Reciprocal")
        if divisor is not None:
            return _normalized(node.inputs[1 - place], divisor, axis)
    return None


def reciprocal(node: ir.Node, axis: int | None, reader: Reads) -> Scores | None:  # noqa: ARG001  # a rule
    """1 / (1 + exp(-z))."""
    return _inverse(node.inputs[0])


def _inverse(divisor: ir.Value | None) -> Scores | None:
    exponential = _one_plus(divisor)
    exponent = _argument_of(exponential, "Exp")
    negated = _argument_of(exponent, "Neg")
    if negated is None:
        negated = _times_minus_one(exponent)
    return None if negated is None else Scores(Kind.SIGMOID, logits=negated)


def _normalized(
    numerator: ir.Value | None, divisor: ir.Value | None, axis: int | None
) -> Scores | None:
    """A / sum a for values that are never negative, and exp(z) / (1 + exp(z))."""
    if numerator is None or not is_never_negative(numerator):
        return None
    exponent = _argument_of(numerator, "Exp")
    if exponent is not None and _one_plus(divisor) is numerator:
        return Scores(Kind.SIGMOID, logits=exponent)
    if axis is None or not _is_one_number(divisor, numerator, axis):
        return None
    if not any(_is_sum(found, numerator, axis) for found in _unwrapped(divisor)):
        return None
    return Scores(Kind.SOFTMAX, logits=None if exponent is None else _unshifted(exponent, axis))


def _is_one_number(divisor: ir.Value | None, numerator: ir.Value, axis: int) -> bool:
    """Whether a divisor holds one number an image, in the places of the numerator's axes."""
    if divisor is None or divisor.shape is None or numerator.shape is None:
        return False
    same = divisor.shape.rank() == numerator.shape.rank()
    return same and (divisor.shape[axis] == 1 or _is_expanded(divisor))


def _is_expanded(divisor: ir.Value) -> bool:
    node = divisor.producer()
    return node is not None and node.op_type == "Expand"


def _is_sum(value: ir.Value, of: ir.Value, axis: int) -> bool:
    node = value.producer()
    if node is None or node.op_type not in {"ReduceSum", "ReduceL1"}:
        return False
    return node.inputs[0] is of and reduced_axes(node) == (axis,)


def _unwrapped(value: ir.Value | None) -> Iterator[ir.Value]:
    """A divisor, and what it is behind casts, broadcasts and guards against zero."""
    while value is not None:
        yield value
        node = value.producer()
        if node is None:
            return
        guarded = node.op_type in {"Add", "Max"} and _guarded(node)
        if not guarded and node.op_type not in _WRAPPERS:
            return
        value = guarded or node.inputs[0]


def _guarded(node: ir.Node) -> ir.Value | None:
    for place in (0, 1):
        held = constant_operand(node, place)
        if held is not None and held.size == 1 and 0 <= float(held.reshape(-1)[0]) <= _SMALL:
            return node.inputs[1 - place]
    return None


def _unshifted(exponent: ir.Value, axis: int) -> ir.Value:
    """Z for z - max z."""
    node = exponent.producer()
    if node is None or node.op_type != "Sub" or node.inputs[0] is None:
        return exponent
    largest = _maker(node.inputs[1])
    if largest is None or largest.op_type != "ReduceMax" or reduced_axes(largest) != (axis,):
        return exponent
    return node.inputs[0] if largest.inputs[0] is node.inputs[0] else exponent


def _one_plus(value: ir.Value | None) -> ir.Value | None:
    node = _maker(value)
    if node is None or node.op_type != "Add":
        return None
    for place in (0, 1):
        held = constant_operand(node, place)
        if held is not None and held.size == 1 and float(held.reshape(-1)[0]) == 1:
            return node.inputs[1 - place]
    return None


def _times_minus_one(value: ir.Value | None) -> ir.Value | None:
    node = _maker(value)
    if node is None or node.op_type != "Mul":
        return None
    for place in (0, 1):
        held = constant_operand(node, place)
        if held is not None and held.size == 1 and float(held.reshape(-1)[0]) == -1:
            return node.inputs[1 - place]
    return None


def _argument_of(value: ir.Value | None, op_type: str) -> ir.Value | None:
    node = _maker(value)
    return node.inputs[0] if node is not None and node.op_type == op_type else None


def _maker(value: ir.Value | None) -> ir.Node | None:
    return None if value is None else value.producer()
