"""Pools read their neighbours: they see hidden cells as zeros (strict: not at all)."""

import onnx_ir as ir

from heatproof.graphs.masking.options import Mode
from heatproof.graphs.masking.rules.statistics.extremes import lowest
from heatproof.graphs.masking.rules.statistics.means import cast
from heatproof.graphs.masking.rules.statistics.reductions import Reduction, averaged
from heatproof.graphs.masking.rules.windows.partial import seen_ratio
from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import NCHW, Flat, Mask, Spatial
from heatproof.graphs.masking.table import RULES
from heatproof.graphs.operators.emitter import attributes_of
from heatproof.graphs.operators.windows import PlaneWindow, window_of


@RULES.rule("MaxPool", 1, 8, 10, 11, 12, 22)
def max_pool(node: ir.Node, scope: Scope) -> Spatial:
    """maxpool(X.M); strict: the maximum of the visible cells, 0 where there are none."""
    value, state = scope.image(node)
    if len(node.outputs) > 1 and node.outputs[1].uses():
        raise scope.refusal(node, "the places of its maxima are read")
    window = _pool_window(node, scope, state)
    mask = scope.masks.slid(state.mask, window)
    if scope.options.mode is Mode.REFERENCE:
        node.replace_input_with(0, scope.visible(value, state))
        return Spatial(mask, NCHW)
    output = node.outputs[0]
    cut = scope.visible(value, state, lowest(value))
    most = scope.op("MaxPool", cut, like=output, **attributes_of(node))
    # The lowest number left in a hidden cell would overflow in the next product.
    scope.replace_output(node, scope.visible(most, Spatial(mask, NCHW, finite=False)))
    return Spatial(mask, NCHW)


@RULES.rule("AveragePool", 1, 7, 10, 11, 19, 22)
def average_pool(node: ir.Node, scope: Scope) -> Spatial | Flat:
    """avg(X.M); strict: times avg(1) / avg(M); over whole axes: as ReduceMean."""
    value, state = scope.image(node)
    window = _pool_window(node, scope, state)
    if window.whole_axes:
        spatial = frozenset(NCHW.spatial[axis] for axis in window.whole_axes)
        return averaged(node, Reduction(state, spatial, keepdims=True), scope)
    node.replace_input_with(0, scope.visible(value, state))
    mask = scope.masks.slid(state.mask, window)
    if scope.options.mode is Mode.STRICT:
        _renormalize(node, scope, state.mask, mask)
    return Spatial(mask, NCHW)


@RULES.rule("LpPool", 2, 11, 18, 22)
def lp_pool(node: ir.Node, scope: Scope) -> Spatial | Flat:
    """lp(X.M), lp the root of a sum of powers; strict: times lp(1) / lp(M)."""
    value, state = scope.image(node)
    window = _pool_window(node, scope, state)
    node.replace_input_with(0, scope.visible(value, state))
    mask = scope.masks.slid(state.mask, window)
    if scope.options.mode is Mode.STRICT:
        _renormalize(node, scope, state.mask, mask)
    return scope.exit([state.mask]) if len(window.whole_axes) == 2 else Spatial(mask, NCHW)


def _pool_window(node: ir.Node, scope: Scope, state: Spatial) -> PlaneWindow:
    kernel = tuple(node.attributes.get_ints("kernel_shape", ()))
    if len(kernel) != 2:  # height, width
        raise scope.refusal(node, "its kernel is not two-dimensional")
    return window_of(node, state.mask.size, (kernel[0], kernel[1]))


def _renormalize(node: ir.Node, scope: Scope, before: Mask, after: Mask) -> None:
    """pool(X.M) * pool(1) / pool(M), over the cells of the image, by the node's own attributes."""
    output = node.outputs[0]
    attributes = attributes_of(node)

    def pooled(image: ir.Value) -> ir.Value:
        shape = (*(image.shape or ())[:2], *after.size)  # the whole image is one for all
        return scope.op(node.op_type, image, like=image, shape=shape, **attributes)

    mean = scope.op(node.op_type, node.inputs[0], like=output, **attributes)
    factor = seen_ratio(before, pooled, scope)
    scaled = scope.op("Mul", mean, cast(factor, output.dtype, scope), like=output)
    scope.replace_output(node, scaled)
