"""Reductions: over channels they keep the mask, over space they leave the spatial domain."""

import onnx_ir as ir

from heatproof.graphs.masking.constants import integers
from heatproof.graphs.masking.emission import attributes_of
from heatproof.graphs.masking.options import GlobalPool
from heatproof.graphs.masking.pooling import guarded_share
from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import Axes, Flat, Mask, Spatial
from heatproof.graphs.masking.table import RULES


@RULES.rule("ReduceMean", 1, 11, 13, 18)
def reduce_mean(node: ir.Node, scope: Scope) -> Spatial | Flat:
    """Over channels: as it is. Over space: avg(X.M) / (avg(M) + 1e-8)."""
    state = scope.spatial(node)
    reduced = reduced_axes(node, scope, state.axes.rank)
    spatial = set(state.axes.spatial)
    if not spatial & reduced:
        return Spatial(state.mask, _without(node, state.axes, reduced), state.finite)
    if not spatial <= reduced:
        raise scope.refusal(node, "it averages over one of the two spatial axes")
    value = node.inputs[0]
    if value is not None:
        node.replace_input_with(0, scope.visible(value, state))
    if scope.options.global_pool is GlobalPool.RENORMALISED:
        _divide_by_share(node, scope, state.mask)
    return scope.exit([state.mask])


def _divide_by_share(node: ir.Node, scope: Scope, mask: Mask) -> None:
    output = node.outputs[0]
    rank = output.shape.rank() if output.shape is not None else 0
    mean = scope.emit.node("ReduceMean", *node.inputs, like=output, attributes=attributes_of(node))
    share = guarded_share(scope, mask, output)
    if rank != 4:  # the rank of the share
        ones = (1,) * (rank - 1)
        dims = scope.emit.integers(0, *ones)
        share = scope.emit.node("Reshape", share, dims, like=share, shape=(scope.batch, *ones))
    scope.replace_output(node, scope.emit.node("Div", mean, share, like=output))


def reduced_axes(node: ir.Node, scope: Scope, rank: int) -> set[int]:
    """The axes that a reduction removes, counted from the front."""
    axes = list(node.attributes.get_ints("axes", ()))
    if not axes and len(node.inputs) > 1 and node.inputs[1] is not None:
        constant = integers(node.inputs[1])
        if constant is None:
            raise scope.refusal(node, "its axes are not constant")
        axes = constant
    if not axes and not node.attributes.get_int("noop_with_empty_axes", 0):
        axes = list(range(rank))
    if 0 in (reduced := {axis % rank for axis in axes}):
        raise scope.refusal(node, "it mixes the images of a batch")
    return reduced


def _without(node: ir.Node, axes: Axes, reduced: set[int]) -> Axes:
    """Where the spatial axes lie after others were reduced."""
    return axes if node.attributes.get_int("keepdims", 1) else axes.without(reduced)
