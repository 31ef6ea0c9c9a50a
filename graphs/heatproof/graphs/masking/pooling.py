"""Pools read their neighbours: they see hidden cells as zeros (strict: not at all)."""

import numpy as np
import onnx_ir as ir

from heatproof.graphs.masking.emission import attributes_of
from heatproof.graphs.masking.options import GlobalPool, Mode
from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import NCHW, Flat, Mask, Spatial
from heatproof.graphs.masking.table import RULES
from heatproof.graphs.masking.windows import Window, window_of

GLOBAL_EPSILON = 1e-8
"""Added to the visible share of a map before its mean is divided by it."""


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
    cut = scope.visible(value, state, _lowest(value))
    most = scope.emit.node("MaxPool", cut, like=output, attributes=attributes_of(node))
    # The lowest number left in a hidden cell would overflow in the next product.
    scope.replace_output(node, scope.visible(most, Spatial(mask, NCHW, finite=False)))
    return Spatial(mask, NCHW)


@RULES.rule("AveragePool", 1, 7, 10, 11, 19, 22)
def average_pool(node: ir.Node, scope: Scope) -> Spatial | Flat:
    """avg(X.M); strict: times avg(1) / avg(M); over the whole map: the global mean."""
    value, state = scope.image(node)
    window = _pool_window(node, scope, state)
    if window.is_whole_image:
        return _replace_by_global_mean(node, scope, value, state)
    node.replace_input_with(0, scope.visible(value, state))
    mask = scope.masks.slid(state.mask, window)
    if scope.options.mode is Mode.STRICT:
        _renormalise(node, scope, state.mask, mask)
    return Spatial(mask, NCHW)


@RULES.rule("GlobalAveragePool", 1, 22)
def global_average_pool(node: ir.Node, scope: Scope) -> Flat:
    """avg(X.M) / (avg(M) + 1e-8), or avg(X.M) with the plain option."""
    value, state = scope.image(node)
    return _replace_by_global_mean(node, scope, value, state)


@RULES.rule("GlobalMaxPool", 1, 22)
def global_max_pool(node: ir.Node, scope: Scope) -> Flat:
    """max(X.M); strict: the maximum of the visible cells, 0 where there are none."""
    value, state = scope.image(node)
    if scope.options.mode is Mode.REFERENCE:
        node.replace_input_with(0, scope.visible(value, state))
        return scope.exit([state.mask])
    cut = scope.visible(value, state, _lowest(value))
    output = node.outputs[0]
    most = scope.emit.node("GlobalMaxPool", cut, like=output)
    zero = scope.emit.scalar(0.0, output.dtype)
    none = scope.emit.node(
        "Equal", scope.masks.share(state.mask), scope.emit.scalar(0.0, ir.DataType.FLOAT),
        like=state.mask.value, shape=(scope.batch, 1, 1, 1), dtype=ir.DataType.BOOL,
    )  # fmt: skip
    scope.replace_output(node, scope.emit.node("Where", none, zero, most, like=output))
    return scope.exit([state.mask])


def _lowest(value: ir.Value) -> float:
    return float(np.finfo((value.dtype or ir.DataType.FLOAT).numpy()).min)


def _pool_window(node: ir.Node, scope: Scope, state: Spatial) -> Window:
    kernel = tuple(node.attributes.get_ints("kernel_shape", ()))
    if len(kernel) != 2:  # height, width
        raise scope.refusal(node, "its kernel is not two-dimensional")
    return window_of(node, state.mask.size, (kernel[0], kernel[1]))


def _replace_by_global_mean(node: ir.Node, scope: Scope, value: ir.Value, state: Spatial) -> Flat:
    visible = scope.visible(value, state)
    output = node.outputs[0]
    mean = scope.emit.node("GlobalAveragePool", visible, like=output)
    scope.replace_output(node, renormalised(mean, scope, state.mask))
    return scope.exit([state.mask])


def renormalised(mean: ir.Value, scope: Scope, mask: Mask) -> ir.Value:
    """A mean over the whole map, [N, C, 1, 1], divided by the visible share."""
    if scope.options.global_pool is GlobalPool.PLAIN:
        return mean
    return scope.emit.node("Div", mean, guarded_share(scope, mask, mean), like=mean)


def guarded_share(scope: Scope, mask: Mask, like: ir.Value) -> ir.Value:
    """avg(M) + 1e-8, of the type of `like`; at least the smallest normal number of float16."""
    share = scope.masks.share(mask)
    guard = scope.emit.scalar(GLOBAL_EPSILON, share.dtype)
    guarded = scope.emit.node("Add", share, guard, like=share)
    if like.dtype in (None, guarded.dtype):
        return guarded
    floor = scope.emit.scalar(2.0**-14, share.dtype)
    bounded = scope.emit.node("Max", guarded, floor, like=guarded)
    dtype = like.dtype or ir.DataType.FLOAT
    return scope.emit.node(
        "Cast", bounded, like=bounded, dtype=dtype, attributes={"to": dtype.value}
    )


def _renormalise(node: ir.Node, scope: Scope, before: Mask, after: Mask) -> None:
    """Where(M', avg(X.M) * avg(1) / avg(M), 0), all averages with the node's own attributes."""
    output = node.outputs[0]
    dtype = output.dtype or ir.DataType.FLOAT
    attributes = attributes_of(node)
    shape = (scope.batch, 1, *after.size)

    def averaged(image: ir.Value) -> ir.Value:
        return scope.emit.node("AveragePool", image, like=image, shape=shape, attributes=attributes)

    mean = scope.emit.node("AveragePool", node.inputs[0], like=output, attributes=attributes)
    ones = averaged(scope.emit.constant(np.ones((1, 1, *before.size)), ir.DataType.FLOAT))
    seen = averaged(before.value)
    safe = scope.emit.node(
        "Where", scope.masks.view(after, NCHW, ir.DataType.BOOL), seen, ones, like=seen
    )
    factor = scope.emit.node("Div", ones, safe, like=seen)
    if dtype != factor.dtype:
        factor = scope.emit.node(
            "Cast", factor, like=factor, dtype=dtype, attributes={"to": dtype.value}
        )
    scaled = scope.emit.node("Mul", mean, factor, like=output)
    scope.replace_output(node, scaled)
