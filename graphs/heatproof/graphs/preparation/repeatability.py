"""Finds what makes a model answer differently each time, or by the neighbours in a batch."""

from collections.abc import Iterable

import onnx_ir as ir

from heatproof.evaluators.errors import UnsupportedOperatorError
from heatproof.graphs.nodes.blockers import Blocker
from heatproof.graphs.operators.families import RANDOM
from heatproof.graphs.operators.rules import Operator
from heatproof.graphs.preparation.dropouts import is_training

DIFFERS_EACH_TIME = (
    "it draws random numbers, so that equal images get different answers; export the model with "
    "model.eval()"
)
TRAINED = (
    "it is in training mode, so that the answer for an image depends on the others of its batch; "
    "export the model with model.eval()"
)
DROPPED = "it drops at random, and its mask is read; export the model with model.eval()"

_TRAINING_ATTRIBUTE = 14  # opset from which an attribute tells the mode, not the outputs


def unrepeatable(graph: ir.Graph) -> tuple[Blocker, ...]:
    """Nodes of a prepared graph, subgraphs included, that answer differently each time."""
    blockers = []
    for node in ir.traversal.RecursiveGraphIterator(graph):
        operator = Operator.of(node, graph.opset_imports)
        reason = None if operator is None else _reason(node, operator)
        if reason is not None:
            blockers.append(Blocker(node.name or "", str(operator), reason))
    return tuple(blockers)


def refuse_unrepeatable(graph: ir.Graph) -> None:
    """Returns if equal images get equal answers, as far as the operators tell.

    Raises:
        UnsupportedOperatorError: names the first node that answers differently each time.
    """
    for blocker in unrepeatable(graph):
        raise UnsupportedOperatorError(
            f"node {blocker.node!r} ({blocker.operator}): {blocker.reason}",
            metadata={
                "node": blocker.node,
                "operator": blocker.operator,
                "reason": blocker.reason,
            },
        )


def with_unrepeatable(graph: ir.Graph, blockers: Iterable[Blocker]) -> tuple[Blocker, ...]:
    """Blockers of a rewrite behind those of any use, each node once.

    The nodes that a rewrite has added to the graph are never among them.
    """
    first = unrepeatable(graph)
    named = {blocker.node for blocker in first}
    return (*first, *(blocker for blocker in blockers if blocker.node not in named))


def _reason(node: ir.Node, operator: Operator) -> str | None:
    if operator.domain != "":
        return None
    if operator.op_type in RANDOM:
        return DIFFERS_EACH_TIME
    if operator.op_type == "BatchNormalization" and _normalizes_by_batch(node, operator):
        return TRAINED
    return DROPPED if operator.op_type == "Dropout" and is_training(node) else None


def _normalizes_by_batch(node: ir.Node, operator: Operator) -> bool:
    if operator.since_version < _TRAINING_ATTRIBUTE:
        return any(value.name for value in node.outputs[1:])
    return bool(node.attributes.get_int("training_mode", 0))
