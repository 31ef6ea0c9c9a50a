"""Computes steps without comparisons, for which ONNX Runtime has no kernels in its blocked layout.

Changes of layout cost as much as a convolution. There are blocked kernels for HardSigmoid,
clip(alpha y + beta, 0, 1), which is a step when alpha is a large power of two: exact in float32 but
for subnormal y. With alpha = -1 it is 1 - y of y in [0, 1].
"""

from typing import Final

import onnx_ir as ir

from heatproof.graphs.nodes.constants import number
from heatproof.graphs.nodes.roles import Role, role_of
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
        if role in (Role.STEP, Role.COMPLEMENT):
            op = op or Emitter(graph)
            op.before(node)
            new = _step(node, op) if role is Role.STEP else _complement(node, op)
            if new is not None:
                _replace(graph, node, new)


def _step(node: ir.Node, op: Emitter) -> ir.Value | None:
    """The product of x and a HardSigmoid of y, for Where(y > bound, x, 0) or y < bound."""
    condition, x, _ = node.inputs
    comparison = None if condition is None else condition.producer()
    if comparison is None:
        return None
    y, limit = comparison.inputs
    bound = number(limit)
    if y is None or y.dtype != ir.DataType.FLOAT or bound is None or abs(bound) >= _LARGEST_BOUND:
        return None
    steep = _STEEPEST if bound == 0 else _STEEP
    slope = {"Greater": steep, "Less": -_STEEP}[comparison.op_type]
    step = op("HardSigmoid", y, like=y, alpha=slope, beta=-bound * slope)
    return op("Mul", x, step, like=node.outputs[0])


def _complement(node: ir.Node, op: Emitter) -> ir.Value | None:
    share = node.inputs[1]
    if share is None or share.dtype is None:
        return None
    return op("HardSigmoid", share, like=share, alpha=-1.0, beta=1.0)


def _replace(graph: ir.Graph, node: ir.Node, new: ir.Value) -> None:
    old = node.outputs[0]
    new.name, old.name = old.name, f"{old.name}_portable"
    new.shape, new.type = old.shape, old.type or new.type
    ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
    graph.remove(node, safe=True)
