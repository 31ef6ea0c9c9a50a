"""Running sums and orders: along channels they read one cell, along space they are refused."""

import onnx_ir as ir

from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import Spatial
from heatproof.graphs.masking.table import RULES
from heatproof.graphs.nodes.constants import integers


@RULES.family({"CumSum": (11, 14), "CumProd": (26,)})
def running_total(node: ir.Node, scope: Scope) -> Spatial:
    """Over channels: as it is. Over space: refused."""
    state = scope.spatial(node)
    axis = integers(node.inputs[1])
    if axis is None:
        raise scope.refusal(node, "its axis is not constant")
    _refuse_space(axis[0], state, node, scope)
    return Spatial(state.mask, state.axes, state.finite and node.op_type == "CumSum")


@RULES.rule("TopK", 1, 10, 11, 24)
def greatest(node: ir.Node, scope: Scope) -> tuple[Spatial, Spatial]:
    """Over channels: values and their numbers for each cell. Over space: refused."""
    state = scope.spatial(node)
    _refuse_space(node.attributes.get_int("axis", -1), state, node, scope)
    return Spatial(state.mask, state.axes, state.finite), Spatial(state.mask, state.axes)


def _refuse_space(axis: int, state: Spatial, node: ir.Node, scope: Scope) -> None:
    if axis % state.axes.rank in (0, *state.axes.spatial):
        raise scope.refusal(node, "it orders cells, or the images of a batch, by their places")
