"""Normalisations: statistics that read other cells are those of the visible cells alone."""

from collections.abc import Collection, Sequence

import onnx_ir as ir

from heatproof.graphs.masking.options import Mode
from heatproof.graphs.masking.rules.statistics.means import (
    cast,
    divided,
    is_renormalized,
    mean_of_visible,
    reduced,
    share_along,
    wide,
)
from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import Spatial
from heatproof.graphs.masking.table import RULES
from heatproof.graphs.nodes.constants import is_finite
from heatproof.graphs.operators.emitter import Dim

MVN_EPSILON = 1e-9
"""Added to the standard deviation by MeanVarianceNormalization."""


@RULES.rule("LayerNormalization", 17)
def layer_normalization(node: ir.Node, scope: Scope) -> Spatial:
    """Over channels: as it is. Over space: statistics of the visible cells of each image."""
    return _last_axes(node, scope, centre=True)


@RULES.rule("RMSNormalization", 23)
def rms_normalization(node: ir.Node, scope: Scope) -> Spatial:
    """As LayerNormalization, without a mean."""
    return _last_axes(node, scope, centre=False)


@RULES.rule("InstanceNormalization", 1, 6, 22)
def instance_normalization(node: ir.Node, scope: Scope) -> Spatial:
    """Mean and variance of each channel over its visible cells."""
    value, state = _operand(node, scope)
    axes = range(2, state.axes.rank)
    epsilon = node.attributes.get_float("epsilon", 1e-5)
    if not set(axes).intersection(state.axes.spatial):
        return _own_cell(node, state, epsilon)
    normal = _normalized(value, state, axes, epsilon, scope)
    dims = [-1, *[1] * len(axes)]  # [channels, 1, 1]
    parameters = [_reshaped(one, dims, scope) for one in node.inputs[1:3]]
    return _finished(node, _affine(normal, parameters, scope), scope)


@RULES.rule("GroupNormalization", 18, 21)
def group_normalization(node: ir.Node, scope: Scope) -> Spatial:
    """Mean and variance of each group of channels over its visible cells."""
    value, state = _operand(node, scope)
    groups = node.attributes.get_int("num_groups", 1)
    channels, *cells = list(value.shape or ())[1:]
    if 1 in state.axes.spatial or not isinstance(channels, int):
        raise scope.refusal(node, "its channels are not axis 1, of static size")
    split = [groups, channels // groups, *cells]
    apart = Spatial(state.mask, state.axes.moved(len(split) + 1, lambda axis: axis + 1))
    visible = _in_shape(scope.visible(value, state), split, scope)
    epsilon = node.attributes.get_float("epsilon", 1e-5)
    normal = _normalized(visible, apart, range(2, len(split) + 1), epsilon, scope)
    parameters = [_of_groups(one, split, scope) for one in node.inputs[1:3]]
    return _finished(
        node, _in_shape(_affine(normal, parameters, scope), [channels, *cells], scope), scope
    )


@RULES.rule("MeanVarianceNormalization", 9, 13)
def mean_variance_normalization(node: ir.Node, scope: Scope) -> Spatial:
    """Over channels: as it is. Over space: mean and variance of the visible cells."""
    value, state = _operand(node, scope)
    axes = {axis % state.axes.rank for axis in node.attributes.get_ints("axes", (0, 2, 3))}
    if 0 in axes:
        raise scope.refusal(node, "its statistics mix the images of a batch")
    if not axes.intersection(state.axes.spatial):
        return _own_cell(node, state, MVN_EPSILON)
    centred, variance = _moments(wide(scope.visible(value, state), scope), state, axes, scope)
    deviation = scope.op("Sqrt", variance, like=variance)
    guard = scope.op.scalar(MVN_EPSILON, variance.dtype)
    divisor = scope.op("Add", deviation, guard, like=deviation)
    normal = scope.op("Div", centred, divisor, like=centred)
    return _finished(node, normal, scope)


@RULES.rule("LpNormalization", 1, 22)
def lp_normalization(node: ir.Node, scope: Scope) -> Spatial:
    """X / ||X||: over channels as it is, over space X.M; strict: times avg(M)^(1/p)."""
    value, state = _operand(node, scope)
    axis = node.attributes.get_int("axis", -1) % state.axes.rank
    if axis == 0:
        raise scope.refusal(node, "its norm mixes the images of a batch")
    if axis not in state.axes.spatial:
        return Spatial(state.mask, state.axes, finite=False)
    node.replace_input_with(0, scope.visible(value, state))
    if scope.options.mode is Mode.STRICT and is_renormalized(state, scope):
        _divide_by_mean_norm(node, state, axis, scope)
    return Spatial(state.mask, state.axes)


def _divide_by_mean_norm(node: ir.Node, state: Spatial, axis: int, scope: Scope) -> None:
    output, value = node.outputs[0], node.inputs[0]
    power = node.attributes.get_int("p", 2)
    if value is None:
        raise scope.refusal(node, "it has no input")
    norm = reduced(f"ReduceL{power}", wide(value, scope), {axis}, scope)
    mean = divided(norm, share_along(state, {axis}, scope), state.axes, scope, power)
    nothing = scope.op(
        "Equal", mean, scope.op.scalar(0, mean.dtype), like=mean, dtype=ir.DataType.BOOL
    )
    one = scope.op.scalar(1, mean.dtype)
    divisor = cast(scope.op("Where", nothing, one, mean, like=mean), output.dtype, scope)
    scope.replace_output(node, scope.op("Div", value, divisor, like=output))


def _last_axes(node: ir.Node, scope: Scope, *, centre: bool) -> Spatial:
    value, state = _operand(node, scope)
    if any(output.uses() or output.is_graph_output() for output in node.outputs[1:]):
        raise scope.refusal(node, "its statistics are read")
    rank = state.axes.rank
    axes = range(node.attributes.get_int("axis", -1) % rank, rank)
    epsilon = node.attributes.get_float("epsilon", 1e-5)
    if 0 in axes:
        raise scope.refusal(node, "its statistics mix the images of a batch")
    if not set(axes).intersection(state.axes.spatial):
        return _own_cell(node, state, epsilon)
    normal = _normalized(value, state, axes, epsilon, scope, centre=centre)
    return _finished(node, _affine(normal, list(node.inputs[1:]), scope), scope)


def _operand(node: ir.Node, scope: Scope) -> tuple[ir.Value, Spatial]:
    value, state = node.inputs[0], scope.spatial(node)
    if value is None or any(scope.state(other) is not None for other in node.inputs[1:]):
        raise scope.refusal(node, "its scale or bias depends on the image")
    return value, state


def _own_cell(node: ir.Node, state: Spatial, epsilon: float) -> Spatial:
    """The state of a result that reads no other cell."""
    finite = state.finite and epsilon > 0 and all(map(is_finite, node.inputs[1:]))
    return Spatial(state.mask, state.axes, finite)


def _normalized(
    value: ir.Value, state: Spatial, axes: Collection[int], epsilon: float, scope: Scope,
    *, centre: bool = True,
) -> ir.Value:  # fmt: skip
    """(X.M - mean) / sqrt(variance + epsilon) in single precision at least; hidden cells are 0."""
    visible = wide(scope.visible(value, state), scope)
    centred, variance = _moments(visible, state, axes, scope, centre=centre)
    guard = scope.op.scalar(epsilon, variance.dtype)
    guarded = scope.op("Add", variance, guard, like=variance)
    deviation = scope.op("Sqrt", guarded, like=guarded)
    return scope.op("Div", centred, deviation, like=centred)


def _moments(
    visible: ir.Value, state: Spatial, axes: Collection[int], scope: Scope, *, centre: bool = True
) -> tuple[ir.Value, ir.Value]:
    """The tensor less its mean over visible cells, with zeros in the hidden ones; its variance."""
    centred = visible
    if centre:
        mean = mean_of_visible(visible, state, axes, scope)
        shifted = scope.op("Sub", visible, mean, like=visible)
        mask = scope.masks.view(state.mask, state.axes, visible.dtype or ir.DataType.FLOAT)
        centred = scope.op("Mul", shifted, mask, like=visible)
    square = scope.op("Mul", centred, centred, like=centred)
    return centred, mean_of_visible(square, state, axes, scope)


def _affine(normal: ir.Value, parameters: list[ir.Value | None], scope: Scope) -> ir.Value:
    """Normal . scale + bias, as far as there are such parameters."""
    for op_type, one in zip(("Mul", "Add"), parameters, strict=False):
        if one is not None:
            normal = scope.op(op_type, normal, cast(one, normal.dtype, scope), like=normal)
    return normal


def _finished(node: ir.Node, result: ir.Value, scope: Scope) -> Spatial:
    """Lets the result take the node's place; its hidden cells hold the bias, or zeros."""
    state, finite = scope.spatial(node), all(map(is_finite, node.inputs[1:]))
    scope.replace_output(node, cast(result, node.outputs[0].dtype, scope))
    return Spatial(state.mask, state.axes, finite)


def _of_groups(parameter: ir.Value | None, split: Sequence[Dim], scope: Scope) -> ir.Value | None:
    """Scale or bias, with an element for each group or for each channel: [groups, channels]."""
    if parameter is None or parameter.shape is None:
        return None
    groups, channels, *rest = (size for size in split if isinstance(size, int))
    inner = 1 if parameter.shape[0] == groups else channels
    return _reshaped(parameter, [groups, inner, *[1] * len(rest)], scope)


def _reshaped(value: ir.Value | None, dims: list[int], scope: Scope) -> ir.Value | None:
    if value is None:
        return None
    size = value.shape[0] if value.shape is not None else None
    shape = [size if dim < 0 else dim for dim in dims]
    return scope.op("Reshape", value, scope.op.integers(*dims), like=value, shape=shape)


def _in_shape(value: ir.Value, sizes: Sequence[Dim], scope: Scope) -> ir.Value:
    """The tensor with other sizes behind the batch."""
    dims = scope.op.integers(0, *[int(size) for size in sizes if isinstance(size, int)])
    return scope.op("Reshape", value, dims, like=value, shape=(scope.batch, *sizes))
