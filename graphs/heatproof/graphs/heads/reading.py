"""Finds the activation behind class scores.

The graph is read backwards from the scores, through whatever keeps the values: rearrangements,
casts, clips to at least [0, 1], quantisation and back, weighted means of members. What is followed
is not the activation alone but what it promises: values that are never negative and have a known
sum over the classes (softmax), or values with a known bound each (sigmoid).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import onnx_ir as ir

from heatproof.graphs.heads.axes import (
    class_axis,
    holds_one_value,
    reshaped_axis,
    runs_over,
    transposed_axis,
)
from heatproof.graphs.heads.bounds import bounds
from heatproof.graphs.heads.derivation import activation_behind
from heatproof.graphs.heads.forms import averages, handwritten, members, parts, pooled, quantized
from heatproof.graphs.heads.scores import Kind, Scores, described
from heatproof.graphs.nodes.constants import constant_operand

_DEEPEST: Final = 40
"""Nodes between an activation and an output; what lies deeper is not looked for."""

_CLIPPED: Final = 1e-4
"""How far a clip may cut into [0, 1] and still count as keeping the values."""

_ROUNDING: Final = 1e-3
"""How far proven bounds may leave an interval: scales and weights are rounded."""

_LOG_FLOOR: Final = -15.0
"""Highest floor of a clip that keeps logarithms of probabilities."""

_SLACK: Final = 1e-2
"""Share of the highest probabilities that quantisation may cut off unnoticed."""

_FINE: Final = 100.0
"""Scale from which on probabilities may be rounded to whole numbers: to per cent."""

_HALVES: Final = frozenset({ir.DataType.FLOAT16, ir.DataType.BFLOAT16})
_DOMAINS: Final = frozenset({"", "com.microsoft"})
_PROBABILITIES: Final = frozenset({Kind.SOFTMAX, Kind.SIGMOID})


class Reader:
    """Reads tensors of one graph; each is read once for each of its axes.

    Args:
        opset: version of ai.onnx that the model imports.
    """

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self._known: dict[tuple[ir.Value, int | None], Scores | None] = {}
        self._depth = 0

    def scores(self, value: ir.Value) -> Scores | None:
        """What is known of an output with one value an image, or one a class; None if nothing."""
        axis = class_axis(value)
        if axis is None and not holds_one_value(value):
            return None
        found = self.read(value, axis)
        node = value.producer()
        if found is not None or node is None:
            return found
        low, high = bounds(value)
        if low >= -1 - _ROUNDING and high <= 1 + _ROUNDING:
            kind = Kind.SIGNED if low < 0 else Kind.BOUNDED
            return Scores(kind, trail=(described(node),))
        source = activation_behind(value)
        if source is None:
            return None
        return Scores(Kind.DERIVED, trail=(described(source), described(node)))

    def read(self, value: ir.Value | None, axis: int | None) -> Scores | None:
        """What is known of a tensor whose classes lie along `axis`; None: one value an image."""
        if value is None or self._depth >= _DEEPEST:
            return None
        key = (value, axis)
        if key not in self._known:
            self._known[key] = None  # no circles in a graph, but names may fail us
            self._depth += 1
            self._known[key] = self._read(value, axis)
            self._depth -= 1
        return self._known[key]

    def _read(self, value: ir.Value, axis: int | None) -> Scores | None:
        node = value.producer()
        if node is None or node.domain not in _DOMAINS:
            return None
        if node.op_type == "If":
            found = parts.branched(node, value.index() or 0, axis, self)
        elif node.op_type in _RULES:
            found = _RULES[node.op_type](node, axis, self)
        else:
            return None
        if found is None:
            return None
        return replace(
            found,
            trail=(*found.trail, described(node)),
            is_coarse=found.is_coarse or value.dtype in _HALVES,
            # Of [classes, N], logits are not read in the order [N, classes].
            logits=None if axis == 0 else found.logits,
        )


ReadingRule = Callable[[ir.Node, int | None, Reader], Scores | None]


def _kept(node: ir.Node, axis: int | None, reader: Reader) -> Scores | None:
    return reader.read(node.inputs[0], axis)


def _softmax(node: ir.Node, axis: int | None, reader: Reader) -> Scores | None:
    if axis is None:
        return Scores(Kind.CONSTANT)
    if not runs_over(node, axis, reader.opset):
        return Scores(Kind.BOUNDED) if node.op_type == "Softmax" else None
    kind = Kind.LOG_SOFTMAX if node.op_type == "LogSoftmax" else Kind.SOFTMAX
    return Scores(kind, logits=node.inputs[0])


def _sigmoid(node: ir.Node, axis: int | None, reader: Reader) -> Scores:  # noqa: ARG001  # a rule
    return Scores(Kind.SIGMOID, logits=node.inputs[0])


def _hard_sigmoid(node: ir.Node, axis: int | None, reader: Reader) -> Scores:  # noqa: ARG001  # a rule
    return Scores(Kind.BOUNDED)


def _quantized_activation(node: ir.Node, axis: int | None, reader: Reader) -> Scores | None:
    """QLinearSoftmax and QLinearSigmoid: values in units of the output's scale."""
    scale = constant_operand(node, 3)
    if scale is None or scale.size != 1:
        return None
    if node.op_type == "QLinearSigmoid":
        kind = Kind.SIGMOID
    elif axis is None:
        kind = Kind.CONSTANT
    else:
        kind = Kind.SOFTMAX if runs_over(node, axis, reader.opset) else Kind.BOUNDED
    return Scores(kind, total=1 / float(scale.reshape(())), is_coarse=True)


def _reshaped(node: ir.Node, axis: int | None, reader: Reader) -> Scores | None:
    source = node.inputs[0]
    if axis is None:
        # As many elements as before: one value an image, even if the operand's shape is not known.
        return None if node.op_type == "Expand" else reader.read(source, None)
    before = reshaped_axis(node, axis)
    return None if before is None else reader.read(source, before)


def _transposed(node: ir.Node, axis: int | None, reader: Reader) -> Scores | None:
    if axis is None:
        return _reshaped(node, None, reader)
    before = transposed_axis(node, axis)
    return None if before is None else reader.read(node.inputs[0], before)


def _quantized(node: ir.Node, axis: int | None, reader: Reader) -> Scores | None:
    """Values in units of the scale; what the codes cannot hold is cut off."""
    found, scale = reader.read(node.inputs[0], axis), constant_operand(node, 1)
    if found is not None and found.kind is Kind.BOUNDED:
        return found
    if found is None or scale is None or scale.size != 1 or found.kind not in _PROBABILITIES:
        return None
    step, codes = float(scale.reshape(())), node.outputs[0].dtype
    zero = constant_operand(node, 2)
    if codes not in _CODES or step <= 0 or (zero is not None and zero.size != 1):
        return None
    low, high = _CODES[codes]
    lift = 0 if zero is None else int(zero.reshape(()))
    holds_all = low <= lift and (high - lift) * step >= (1 - _SLACK) * found.total
    logits = found.logits if holds_all else None
    return replace(found, total=found.total / step, is_coarse=True, logits=logits)


def _dequantized(node: ir.Node, axis: int | None, reader: Reader) -> Scores | None:
    found, scale = reader.read(node.inputs[0], axis), constant_operand(node, 1)
    if found is None or scale is None or scale.size != 1:
        return None
    return replace(found, total=found.total * float(scale.reshape(())))


def _clipped(node: ir.Node, axis: int | None, reader: Reader) -> Scores | None:
    found = reader.read(node.inputs[0], axis)
    low, high = _bounds(node)
    if found is not None and found.kind is Kind.LOG_SOFTMAX:
        return found if low <= _LOG_FLOOR and high >= -_CLIPPED else None
    if found is not None and low <= _CLIPPED and high >= found.total - _CLIPPED:
        return found
    return Scores(Kind.BOUNDED) if low >= 0 and high <= 1 else None


def _bounds(node: ir.Node) -> tuple[float, float]:
    """What a Clip, Relu or Abs, or a Max or Min with a constant, keeps; infinite where open."""
    if node.op_type in {"Relu", "Abs"}:
        return 0.0, np.inf
    if node.op_type in {"Max", "Min"}:
        held = [constant_operand(node, index) for index in range(1, len(node.inputs))]
        numbers = [
            float(array.reshape(())) for array in held if array is not None and array.size == 1
        ]
        if len(numbers) != len(held) or not numbers:
            return np.nan, np.nan
        return (max(numbers), np.inf) if node.op_type == "Max" else (-np.inf, min(numbers))
    return _bound(node, 1, "min", -np.inf), _bound(node, 2, "max", np.inf)


def _bound(node: ir.Node, index: int, name: str, default: float) -> float:
    """A bound of a Clip, which is an operand or an attribute; NaN if it is computed."""
    if index >= len(node.inputs) or node.inputs[index] is None:
        return node.attributes.get_float(name, default)
    held = constant_operand(node, index)
    return np.nan if held is None else float(held.reshape(-1)[0])


def _rounded(node: ir.Node, axis: int | None, reader: Reader) -> Scores | None:
    """Rounds probabilities that were scaled up, or takes away what they are."""
    found = reader.read(node.inputs[0], axis)
    if found is None or found.kind not in _PROBABILITIES:
        return None
    if found.total < _FINE:
        return Scores(Kind.BOUNDED, trail=found.trail)
    return replace(found, is_coarse=True)


def _logarithm(node: ir.Node, axis: int | None, reader: Reader) -> Scores | None:
    found = reader.read(node.inputs[0], axis)
    if found is None or found.kind is not Kind.SOFTMAX or abs(found.total - 1) > _CLIPPED:
        return None
    return replace(found, kind=Kind.LOG_SOFTMAX)


def _exponential(node: ir.Node, axis: int | None, reader: Reader) -> Scores | None:
    found = reader.read(node.inputs[0], axis)
    if found is None or found.kind is not Kind.LOG_SOFTMAX:
        return None
    return replace(found, kind=Kind.SOFTMAX)


_CODES: Final[Mapping[ir.DataType | None, tuple[int, int]]] = {
    ir.DataType.UINT8: (0, 2**8 - 1),
    ir.DataType.INT8: (-(2**7), 2**7 - 1),
    ir.DataType.UINT16: (0, 2**16 - 1),
    ir.DataType.INT16: (-(2**15), 2**15 - 1),
    None: (0, 2**8 - 1),
}

_RULES: Final[Mapping[str, ReadingRule]] = {
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "Sigmoid": _sigmoid,
    "HardSigmoid": _hard_sigmoid,
    "QLinearSoftmax": _quantized_activation,
    "QLinearSigmoid": _quantized_activation,
    "QuantizeLinear": _quantized,
    "DequantizeLinear": _dequantized,
    **dict.fromkeys(("Identity", "Cast", "CastLike", "Dropout"), _kept),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand"), _reshaped),
    "Transpose": _transposed,
    **dict.fromkeys(("Clip", "Relu", "Abs", "Max", "Min"), _clipped),
    "Log": _logarithm,
    "Exp": _exponential,
    "Add": members.added,
    "Sum": members.added,
    "Mean": members.averaged,
    "Mul": members.scaled,
    "ReduceMean": members.reduced,
    "ReduceSum": members.reduced,
    **dict.fromkeys(("GlobalAveragePool", "AveragePool"), pooled.averaged),
    **dict.fromkeys(("GlobalMaxPool", "MaxPool"), pooled.largest),
    **dict.fromkeys(("ReduceMax", "ReduceMin"), pooled.highest),
    **dict.fromkeys(("MatMul", "Gemm", "Conv", "Einsum"), averages.mixed),
    "QLinearAdd": quantized.added,
    "QLinearMul": quantized.multiplied,
    "QLinearConcat": quantized.joined,
    "Concat": parts.joined,
    "Where": parts.chosen,
    "TopK": parts.ranked,
    "Round": _rounded,
    "Slice": parts.sliced,
    "Gather": parts.gathered,
    "Split": parts.split,
    "Sub": handwritten.difference,
    "Div": handwritten.quotient,
    "Reciprocal": handwritten.reciprocal,
}
"""What each operator does to what is known of its operand; others end the search."""
