"""Turns dropouts off: a deployed classifier does not drop."""

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from heatproof.graphs.files.notes import Note
from heatproof.graphs.nodes.constants import constant_operand
from heatproof.graphs.operators.rules import Operator

_RATIO, _TRAINING = 1, 2
"""Positions of operands, from opset 12 on; before, every Dropout is the identity."""


def drop_dropouts(graph: ir.Graph) -> list[Note]:
    """Makes identities of dropouts, in place; returns what a user must know.

    Those whose mask is read stay.
    """
    notes: list[Note] = []
    for node in tuple(ir.traversal.RecursiveGraphIterator(graph)):
        operator = Operator.of(node, graph.opset_imports)
        mask_is_read = any(out.uses() or out.is_graph_output() for out in node.outputs[1:])
        if operator is None or operator.op_type != "Dropout" or mask_is_read or node.graph is None:
            continue
        notes.extend(_said(node))
        identity = ir.node("Identity", node.inputs[:1], name=node.name)
        ir.convenience.replace_nodes_and_values(
            node.graph, node, [node], [identity], node.outputs[:1], identity.outputs
        )
    return notes


def _said(node: ir.Node) -> Iterator[Note]:
    if is_training(node):
        yield Note(
            f"node {node.name!r}, Dropout, is in training mode, or may be put into it: it is "
            "turned off; export the model with model.eval()",
            changes_answers=True,
        )


def is_training(node: ir.Node) -> bool:
    """Whether a Dropout drops at random, or may do so, for that is computed."""
    if len(node.inputs) <= _TRAINING or node.inputs[_TRAINING] is None:
        return False
    training, ratio = constant_operand(node, _TRAINING), constant_operand(node, _RATIO)
    keeps_all = node.inputs[_RATIO] is not None and ratio is not None and not np.any(ratio)
    return not keeps_all and (training is None or bool(np.any(training)))
