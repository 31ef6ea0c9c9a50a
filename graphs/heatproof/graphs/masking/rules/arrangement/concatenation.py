"""Concatenation and splitting, along channels and along space."""

import itertools

import numpy as np
import onnx_ir as ir

from heatproof.graphs.masking.rules.movement import identities, moved
from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import Axes, Mask, Spatial
from heatproof.graphs.masking.table import RULES


@RULES.rule("Concat", 4, 11, 13)
def concatenation(node: ir.Node, scope: Scope) -> Spatial:
    """Concat of the masked inputs where masks differ; M by vote; along space joins the masks."""
    operands = scope.spatial_inputs(node)
    axes = scope.joint_axes(node, [state for _, state in operands])
    axis = node.attributes.get_int("axis", 1) % axes.rank
    if axis == 0:
        raise scope.refusal(node, "it joins batches")
    finite = all(state.finite for _, state in operands)
    if axis in axes.spatial:
        return Spatial(_joined(node, axes, axis, scope), axes, finite)
    masks = [state.mask for _, state in operands]
    if any(mask is not masks[0] for mask in masks):
        for index, state in operands:
            value = node.inputs[index]
            if value is not None:
                node.replace_input_with(index, scope.visible(value, state))
    return Spatial(scope.masks.vote(masks, scope.options.concat), axes, finite)


def _joined(node: ir.Node, axes: Axes, axis: int, scope: Scope) -> Mask:
    """The masks one behind the other; operands that do not depend on the image are border."""
    operands = dict(scope.spatial_inputs(node))
    if axes.merged or any(state.axes != axes for state in operands.values()):
        raise scope.refusal(node, "its operands differ in their axes of rows and columns")
    known = next(iter(operands.values()))
    masks = []
    for index, value in enumerate(node.inputs):
        if index in operands:
            masks.append(operands[index].mask)
            continue
        size = None if value is None or value.shape is None else value.shape[axis]
        if not isinstance(size, int) or scope.state(value) is not None:
            raise scope.refusal(node, f"operand {index} is no map of static size")
        nothing = np.zeros((size, axes.sizes(known.mask)[axis]), bool)
        masks.append(moved(known, {axis: nothing}, scope, node))
    return scope.masks.joined(masks, 0 if axis == axes.height else 1)


@RULES.rule("Split", 2, 11, 13, 18)
def split(node: ir.Node, scope: Scope) -> tuple[Spatial, ...]:
    """Parts of the channels keep M; parts of space get theirs of M."""
    state = scope.spatial(node)
    axis = node.attributes.get_int("axis", 0) % state.axes.rank
    if axis == 0:
        raise scope.refusal(node, "it splits the batch")
    if axis not in state.axes.spatial:
        return (state,) * len(node.outputs)
    identity = identities(state)[axis]
    bounds = itertools.accumulate(_lengths(node, axis, scope), initial=0)
    return tuple(
        Spatial(moved(state, {axis: identity[first:last]}, scope, node), state.axes, state.finite)
        for first, last in itertools.pairwise(bounds)
    )


def _lengths(node: ir.Node, axis: int, scope: Scope) -> list[int]:
    sizes = [None if out.shape is None else out.shape[axis] for out in node.outputs]
    lengths = [size for size in sizes if isinstance(size, int)]
    if len(lengths) < len(sizes):
        raise scope.refusal(node, "the sizes of its parts are not static")
    return lengths
