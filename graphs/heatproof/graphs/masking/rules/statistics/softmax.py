"""Softmax and its kin: over space, removed cells are out of the running."""

import onnx_ir as ir

from heatproof.graphs.masking.rules.statistics.extremes import lowest
from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import Spatial
from heatproof.graphs.masking.table import RULES

_ONE_AXIS = 13  # opset before which all axes from the named one on count as one


@RULES.family({"Softmax": (1, 11, 13), "Hardmax": (1, 11, 13), "LogSoftmax": (1, 11, 13)})
def softmax(node: ir.Node, scope: Scope) -> Spatial:
    """Over channels: as it is. Over space: hidden logits are the lowest number."""
    value, state = node.inputs[0], scope.spatial(node)
    axes = _axes(node, scope, state.axes.rank)
    if 0 in axes:
        raise scope.refusal(node, "it mixes the images of a batch")
    if not axes.intersection(state.axes.spatial):
        return Spatial(state.mask, state.axes, state.finite)
    if value is not None:
        node.replace_input_with(0, scope.visible(value, state, lowest(value)))
    if node.op_type == "LogSoftmax":  # the lowest number less the greatest is below the lowest
        return Spatial(state.mask, state.axes, finite=False)
    return Spatial(state.mask, state.axes, weights=axes.issuperset(state.axes.spatial))


def _axes(node: ir.Node, scope: Scope, rank: int) -> set[int]:
    if scope.op.opset >= _ONE_AXIS:
        return {node.attributes.get_int("axis", -1) % rank}
    return set(range(node.attributes.get_int("axis", 1) % rank, rank))
