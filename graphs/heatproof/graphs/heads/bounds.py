"""Bounds of a tensor that its last operators prove."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import onnx_ir as ir

from heatproof.graphs.heads.mixing import Mixing, mixing
from heatproof.graphs.nodes.constants import constant_operand

_DEEPEST: Final = 12
"""Operators that are looked at, from the tensor backwards."""

Bounds = tuple[float, float]
"""Lowest and highest value; infinite where nothing is known."""

OPEN: Final[Bounds] = (-np.inf, np.inf)


def is_never_negative(value: ir.Value) -> bool:
    """Whether no element can be below 0."""
    return bounds(value)[0] >= 0


def bounds(value: ir.Value | None, depth: int = 0) -> Bounds:
    """Bounds of all elements of a tensor."""
    if value is None:
        return OPEN
    held = ir.convenience.get_const_tensor(value)
    if held is not None:
        numbers = held.numpy().astype(np.float64)
        return (float(numbers.min()), float(numbers.max())) if numbers.size else OPEN
    node = value.producer()
    if node is None or node.domain or depth >= _DEEPEST:
        return OPEN
    if node.op_type in _RANGES:
        return _RANGES[node.op_type]
    rule = _RULES.get(node.op_type)
    if rule is None:
        return OPEN
    found = rule(node, [bounds(operand, depth + 1) for operand in node.inputs])
    return OPEN if np.isnan(found).any() else found


def _sum(node: ir.Node, held: list[Bounds]) -> Bounds:  # noqa: ARG001  # a rule
    return sum(low for low, _ in held), sum(high for _, high in held)


def _mean(node: ir.Node, held: list[Bounds]) -> Bounds:
    low, high = _sum(node, held)
    return low / len(held), high / len(held)


def _difference(node: ir.Node, held: list[Bounds]) -> Bounds:  # noqa: ARG001  # a rule
    return held[0][0] - held[1][1], held[0][1] - held[1][0]


def _product(node: ir.Node, held: list[Bounds]) -> Bounds:  # a rule
    if node.inputs[0] is node.inputs[1]:
        ends = [end * end for end in held[0]]
        return (0.0 if held[0][0] <= 0 <= held[0][1] else min(ends)), max(ends)
    with np.errstate(invalid="ignore"):
        ends = [np.multiply(a, b) for a in held[0] for b in held[1]]
    known = [0.0 if np.isnan(end) else float(end) for end in ends]  # 0 times infinity
    return min(known), max(known)


def _quotient(node: ir.Node, held: list[Bounds]) -> Bounds:
    low, high = held[1]
    if low <= 0:
        return OPEN
    return _product(node, [held[0], (1 / high, 1 / low)])


def _power(node: ir.Node, held: list[Bounds]) -> Bounds:
    exponent = constant_operand(node, 1)
    even = exponent is not None and exponent.size == 1 and float(exponent.reshape(())) % 2 == 0
    return (0.0, np.inf) if even or held[0][0] >= 0 else OPEN


def _highest(node: ir.Node, held: list[Bounds]) -> Bounds:  # noqa: ARG001  # a rule
    return max(low for low, _ in held), max(high for _, high in held)


def _lowest(node: ir.Node, held: list[Bounds]) -> Bounds:  # noqa: ARG001  # a rule
    return min(low for low, _ in held), min(high for _, high in held)


def _clip(node: ir.Node, held: list[Bounds]) -> Bounds:
    (low, high), *ends = held
    least = ends[0][0] if ends else node.attributes.get_float("min", -np.inf)
    most = ends[1][1] if len(ends) > 1 else node.attributes.get_float("max", np.inf)
    return min(max(low, least), most), max(min(high, most), least)


def _negated(node: ir.Node, held: list[Bounds]) -> Bounds:  # noqa: ARG001  # a rule
    return -held[0][1], -held[0][0]


def _kept(node: ir.Node, held: list[Bounds]) -> Bounds:  # noqa: ARG001  # a rule
    return held[0]


def _averaged(node: ir.Node, held: list[Bounds]) -> Bounds:  # noqa: ARG001  # a rule
    return min(held[0][0], 0.0), max(held[0][1], 0.0)  # paddings


def _either(node: ir.Node, held: list[Bounds]) -> Bounds:
    parts = held[1:] if node.op_type == "Where" else held
    return min(low for low, _ in parts), max(high for _, high in parts)


def _mixed(node: ir.Node, held: list[Bounds]) -> Bounds:
    """Products with constants: the weights of a sum take it between its ends."""
    found = mixing(node)
    if found is None:
        return OPEN
    low, high = held[found.place]
    if node.op_type == "Conv":
        low, high = min(low, 0.0), max(high, 0.0)  # paddings
    if not np.isfinite((low, high)).all():
        return (0.0, np.inf) if low >= 0 and found.is_never_negative() else OPEN
    return _between(found, low, high)


def _between(found: Mixing, low: float, high: float) -> Bounds:
    positive, negative = found.sums()
    lowest = positive * low + negative * high + found.least
    highest = positive * high + negative * low + found.most
    return float(lowest.min()), float(highest.max())


def _dequantized(node: ir.Node, held: list[Bounds]) -> Bounds:
    """What a type can hold, where that is never negative; else what was quantized, if that is told.

    A scale of 1 / 128 for values of both signs says nothing of how they came about.
    """
    codes, scale, zero = node.inputs[0], constant_operand(node, 1), constant_operand(node, 2)
    if codes is None or scale is None or scale.size != 1:
        return OPEN
    lift = 0 if zero is None else int(zero.reshape(-1)[0])
    step = float(scale.reshape(-1)[0])
    points = node.inputs[2] if zero is not None else None
    ends = _CODES.get(codes.dtype) or _CODES.get(points.dtype if points is not None else None)
    low, high = ((end - lift) * step for end in ends) if ends else OPEN
    quantizer = codes.producer()
    if (
        quantizer is not None
        and quantizer.op_type == "QuantizeLinear"
        and _same_steps(quantizer, node)
    ):
        low, high = max(low, held[0][0]), min(high, held[0][1])
        return low, high
    return (low, high) if low >= 0 else OPEN


def _same_steps(quantizer: ir.Node, node: ir.Node) -> bool:
    pairs = [
        (constant_operand(quantizer, place), constant_operand(node, place)) for place in (1, 2)
    ]
    return all(
        mine is theirs or (mine is not None and theirs is not None and np.array_equal(mine, theirs))
        for mine, theirs in pairs
    )


_CODES: Final[Mapping[ir.DataType | None, tuple[int, int]]] = {
    ir.DataType.UINT8: (0, 2**8 - 1),
    ir.DataType.INT8: (-(2**7), 2**7 - 1),
    ir.DataType.UINT16: (0, 2**16 - 1),
    ir.DataType.INT16: (-(2**15), 2**15 - 1),
}

_RANGES: Final[Mapping[str, Bounds]] = {
    **dict.fromkeys(("Sigmoid", "HardSigmoid", "Softmax"), (0.0, 1.0)),
    **dict.fromkeys(("Tanh", "Erf", "Softsign", "Sin", "Cos"), (-1.0, 1.0)),
    **dict.fromkeys(("Exp", "Relu", "Softplus", "Abs", "Sqrt"), (0.0, np.inf)),
}

_RULES: Final[Mapping[str, Callable[[ir.Node, list[Bounds]], Bounds]]] = {
    "Add": _sum,
    "Sum": _sum,
    "Mean": _mean,
    "Sub": _difference,
    "Mul": _product,
    "Div": _quotient,
    "Pow": _power,
    "Max": _highest,
    "Min": _lowest,
    "Clip": _clip,
    "Neg": _negated,
    **dict.fromkeys(("Concat", "Where"), _either),
    **dict.fromkeys(("Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze"), _kept),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "MaxPool"), _kept),
    **dict.fromkeys(("ReduceMax", "ReduceMin"), _kept),
    **dict.fromkeys(("Transpose", "Slice", "Gather", "Expand", "ReduceMean", "Split"), _kept),
    "AveragePool": _averaged,
    **dict.fromkeys(("QuantizeLinear", "Dropout"), _kept),
    **dict.fromkeys(("MatMul", "Gemm", "Conv", "Einsum"), _mixed),
    "DequantizeLinear": _dequantized,
}
