"""Concatenation and splitting along channels."""

import onnx_ir as ir

from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import Spatial
from heatproof.graphs.masking.table import RULES


@RULES.rule("Concat", 4, 11, 13)
def concatenation(node: ir.Node, scope: Scope) -> Spatial:
    """Concat of the masked inputs where masks differ; the mask is their vote."""
    operands = scope.spatial_inputs(node)
    axes = scope.joint_axes(node, [state for _, state in operands])
    axis = node.attributes.get_int("axis", 1) % axes.rank
    if axis in (0, *axes.spatial):
        raise scope.refusal(node, "it concatenates along the batch or a spatial axis")
    masks = [state.mask for _, state in operands]
    if any(mask is not masks[0] for mask in masks):
        for index, state in operands:
            value = node.inputs[index]
            if value is not None:
                node.replace_input_with(index, scope.visible(value, state))
    finite = all(state.finite for _, state in operands)
    return Spatial(scope.masks.vote(masks, scope.options.concat), axes, finite)


@RULES.rule("Split", 2, 11, 13, 18)
def split(node: ir.Node, scope: Scope) -> tuple[Spatial, ...]:
    """Parts of the channels keep the mask."""
    state = scope.spatial(node)
    axis = node.attributes.get_int("axis", 0) % state.axes.rank
    if axis in (0, *state.axes.spatial):
        raise scope.refusal(node, "it splits the batch or a spatial axis")
    return (state,) * len(node.outputs)
