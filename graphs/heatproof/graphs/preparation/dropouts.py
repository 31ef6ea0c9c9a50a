"""Removes the dropouts that constant folding does not know."""

import onnx_ir as ir

from heatproof.graphs.rules import Operator

_TRAINABLE_DROPOUT = 12  # opset that gave Dropout its training mode


def drop_old_dropouts(graph: ir.Graph) -> None:
    """Before opset 12 Dropout is the identity at inference; constant folding drops later ones."""
    for node in ir.traversal.RecursiveGraphIterator(graph):
        operator = Operator.of(node, graph.opset_imports)
        if (
            operator is None
            or operator.op_type != "Dropout"
            or operator.since_version >= _TRAINABLE_DROPOUT
        ):
            continue
        mask_is_read = any(out.uses() or out.is_graph_output() for out in node.outputs[1:])
        if mask_is_read or node.graph is None:
            continue
        identity = ir.node("Identity", node.inputs[:1], name=node.name)
        ir.convenience.replace_nodes_and_values(
            node.graph, node, [node], [identity], node.outputs[:1], identity.outputs
        )
