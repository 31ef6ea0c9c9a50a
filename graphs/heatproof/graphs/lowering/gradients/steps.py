"""Computes steps without comparisons, for which ONNX Runtime has no kernels in its blocked layout.

Changes of layout cost as much as a convolution. There are blocked kernels for HardSigmoid,
clip(alpha y + beta, 0, 1), which is a step when alpha is a large power of two: exact in float32 but
for subnormal y. With alpha = -1 it is 1 - y of y in [0, 1].

Two steps, 0 < y < high, are one mask, for y is lifted above the upper bound where it is 0:

    y + 2 high . step(y <= 0) < high

The convolution that weighs the first step adds to y in place, and takes the second step in.
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
    """The product of x and a step, for Where(y > bound, x, 0); two steps may be one."""
    slope, reader = _slope(node), _only_reader(node)
    if slope is None or (reader is not None and _inner(reader) is node):
        return None  # the outer step takes this one in
    inner = _inner(node)
    if inner is None:
        return op("Mul", node.inputs[1], _risen(slope, slope.y, op), like=node.outputs[0])
    node.replace_input_with(1, inner.inputs[1])
    op.remove(inner)
    return op("Mul", node.inputs[1], _between(slope, op), like=node.outputs[0])


def _only_reader(node: ir.Node) -> ir.Node | None:
    uses = list(node.outputs[0].uses())
    return uses[0][0] if len(uses) == 1 and not node.outputs[0].is_graph_output() else None


def _inner(node: ir.Node) -> ir.Node | None:
    """The inner one of Where(y < high, Where(y > 0, x, 0), 0), if the steps can be one."""
    kept = node.inputs[1] if role_of(node) is Role.STEP else None
    inner = None if kept is None else kept.producer()
    if inner is None or role_of(inner) is not Role.STEP or _only_reader(inner) is not node:
        return None
    upper, lower = _slope(node), _slope(inner)
    if upper is None or lower is None or upper.y is not lower.y or not _is_in_blocks(upper.y):
        return None
    return inner if upper.factor < 0 < lower.factor and lower.bound == 0 < upper.bound else None


def _between(upper: "_Slope", op: Emitter) -> ir.Value:
    """1 where 0 < y < high, else 0."""
    y = upper.y
    at_most_zero = op("HardSigmoid", y, like=y, alpha=-_STEEPEST, beta=1.0)
    lifted = op("Add", scaled(at_most_zero, 2 * upper.bound, op), y, like=y)
    return _risen(upper, lifted, op)


def _risen(slope: "_Slope", y: ir.Value, op: Emitter) -> ir.Value:
    """1 on the upper side of a slope, 0 on the other."""
    return op("HardSigmoid", y, like=y, alpha=slope.factor, beta=slope.offset)


def _is_in_blocks(y: ir.Value) -> bool:
    return channels_of(y) >= LEAST_CHANNELS and BlockedTensors().is_blocked(y)


def _jump(node: ir.Node, op: Emitter) -> ir.Value | None:
    """A number times a step: a steep line cut off on both sides, which the convolution takes in."""
    slope, height = _slope(node), number(node.inputs[1])
    if slope is None or not height:
        return None
    y = slope.y
    if height == 1:
        return _risen(slope, y, op)
    if not _is_in_blocks(y):
        return op("Mul", _risen(slope, y, op), height, like=y)
    line = scaled(y, slope.factor * height, op, slope.offset * height)
    return op("Clip", line, min(height, 0.0), max(height, 0.0), like=y)


@dataclass(frozen=True, slots=True)
class _Slope:
    """factor . y + offset, at most 0 on one side of a bound and at least 1 on the other."""

    y: ir.Value
    bound: float
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
    return _Slope(y, bound, factor, -bound * factor)


def _complement(node: ir.Node, op: Emitter) -> ir.Value | None:
    share = node.inputs[1]
    if share is None or share.dtype is None:
        return None
    added = all(reader.op_type == "Add" for reader, _ in node.outputs[0].uses())
    if added and _is_in_blocks(share):
        return scaled(share, -1.0, op, 1.0)  # a convolution adds what it is added to
    return op("HardSigmoid", share, like=share, alpha=-1.0, beta=1.0)


_RULES: Final[Mapping[Role | None, Callable[[ir.Node, Emitter], ir.Value | None]]] = (
    MappingProxyType({Role.STEP: _step, Role.JUMP: _jump, Role.COMPLEMENT: _complement})
)
