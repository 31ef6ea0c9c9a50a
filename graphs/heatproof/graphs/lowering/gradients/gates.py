"""Computes a hard-swish as x . h where its gradient reads the gate h = clip(x / 6 + 1/2, 0, 1).

ONNX Runtime takes it apart likewise, but after it has looked for equal nodes: the gate would be
computed twice, and x kept for the second time.
"""

import math

import onnx_ir as ir

from heatproof.graphs.lowering.replacement import replace
from heatproof.graphs.operators.emitter import Emitter


def share_gates(model: ir.Model) -> None:
    """Writes hard-swishes of float32 as products with the gates of their gradients, in place."""
    graph = model.graph
    op: Emitter | None = None
    for node in tuple(graph):
        gates = _gates_beside(node) if node.op_type == "HardSwish" and not node.domain else []
        if gates:
            op = op or Emitter(graph)
            op.before(node)
            x = node.inputs[0]
            shared = op("HardSigmoid", x, like=x, alpha=1 / 6, beta=0.5)
            for gate in gates:
                replace(graph, gate, shared)
            replace(graph, node, op("Mul", x, shared, like=x))


def _gates_beside(swish: ir.Node) -> list[ir.Node]:
    x = swish.inputs[0]
    if x is None or x.dtype != ir.DataType.FLOAT:
        return []
    return [reader for reader, _ in x.uses() if _is_gate(reader)]


def _is_gate(node: ir.Node) -> bool:
    if node.op_type != "HardSigmoid" or node.domain:
        return False
    slope, middle = (node.attributes.get_float(key, 0.0) for key in ("alpha", "beta"))
    return math.isclose(slope, 1 / 6, rel_tol=1e-6) and middle == 0.5
