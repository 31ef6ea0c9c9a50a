"""Computes steps without comparisons, for which ONNX Runtime has no kernels in its blocked layout.

Changes of layout cost as much as a convolution. There are blocked kernels for HardSigmoid,
clip(alpha y + beta, 0, 1), which is a step when alpha is a large power of two: exact in float32 but
for subnormal y. With alpha = -1 it is 1 - y of y in [0, 1].
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import onnx_ir as ir

from heatproof.graphs.lowering.blocking import LEAST_CHANNELS, BlockedTensors, scaled
from heatproof.graphs.lowering.replacement import replace
from heatproof.graphs.nodes.constants import number
from heatproof.graphs.nodes.roles import Role, role_of
from heatproof.graphs.nodes.shapes import channels_of
from heatproof.graphs.operators.emitter import Emitter

# Slopes of the steps: below a bound of 2^7 neither overflows, and at a bound the step is 0.
_STEEP: Final = 2.0**120
_STEEPEST: Final = 2.0**127
_LARGEST_BOUND: Final = 2.0**7


def smooth_steps(model: ir.Model) -> None:
    """Writes steps and complements as HardSigmoids, in place, where that is exact."""
    graph = model.graph
    op: Emitter | None = None
    for node in tuple(graph):
        role = role_of(node)
        if role in _RULES:
            op = op or Emitter(graph)
            op.before(node)
            new = _RULES[role](node, op)
            if new is not None:
                replace(graph, node, new)


def _step(node: ir.Node, op: Emitter) -> ir.Value | None:
    """The product of x and a step, for Where(y > bound, x, 0)."""
    slope = _slope(node)
    if slope is None:
        return None
    step = op("HardSigmoid", slope.y, like=slope.y, alpha=slope.factor, beta=slope.offset)
    return op("Mul", node.inputs[1], step, like=node.outputs[0])


def _jump(node: ir.Node, op: Emitter) -> ir.Value | None:
    """A number times a step: a steep line cut off on both sides, which the convolution takes in."""
    slope, height = _slope(node), number(node.inputs[1])
    if slope is None or not height:
        return None
    y = slope.y
    if channels_of(y) < LEAST_CHANNELS or not BlockedTensors().is_blocked(y):
        step = op("HardSigmoid", y, like=y, alpha=slope.factor, beta=slope.offset)
        return op("Mul", step, height, like=y)
    line = scaled(y, slope.factor * height, op, slope.offset * height)
    return op("Clip", line, min(height, 0.0), max(height, 0.0), like=y)


@dataclass(frozen=True, slots=True)
class _Slope:
    """factor . y + offset, at most 0 on one side of a bound and at least 1 on the other."""

    y: ir.Value
    factor: float
    offset: float


def _slope(node: ir.Node) -> _Slope | None:
    """The slope for a condition y > bound, y < bound or y >= bound."""
    condition = node.inputs[0]
    comparison = None if condition is None else condition.producer()
    if comparison is None:
        return None
    y, limit = comparison.inputs
    bound = number(limit)
    if y is None or y.dtype != ir.DataType.FLOAT or bound is None or abs(bound) >= _LARGEST_BOUND:
        return None
    if comparison.op_type == "GreaterOrEqual":  # above the number before it
        bound = float(np.nextafter(np.float32(bound), np.float32(-np.inf)))
    steep = _STEEPEST if bound == 0 else _STEEP
    factor = -steep if comparison.op_type == "Less" else steep
    return _Slope(y, factor, -bound * factor)


def _complement(node: ir.Node, op: Emitter) -> ir.Value | None:
    share = node.inputs[1]
    if share is None or share.dtype is None:
        return None
    added = all(reader.op_type == "Add" for reader, _ in node.outputs[0].uses())
    if added and channels_of(share) >= LEAST_CHANNELS and BlockedTensors().is_blocked(share):
        return scaled(share, -1.0, op, 1.0)  # a convolution adds what it is added to
    return op("HardSigmoid", share, like=share, alpha=-1.0, beta=1.0)


_RULES: Final[Mapping[Role | None, Callable[[ir.Node, Emitter], ir.Value | None]]] = (
    MappingProxyType({Role.STEP: _step, Role.JUMP: _jump, Role.COMPLEMENT: _complement})
)
