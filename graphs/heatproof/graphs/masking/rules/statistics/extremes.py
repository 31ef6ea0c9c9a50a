"""Greatest, least and log-sum-exp over cells: removed cells are zeros, or out of the running."""

import onnx_ir as ir

from heatproof.graphs.masking.options import Mode
from heatproof.graphs.masking.rules.statistics.means import cast, wide
from heatproof.graphs.masking.rules.statistics.reductions import (
    Reduction,
    global_reduction_of,
    reduction_of,
)
from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import Flat, Spatial
from heatproof.graphs.masking.table import RULES
from heatproof.graphs.operators.emitter import attributes_of


@RULES.rule("GlobalMaxPool", 1, 22)
def global_max_pool(node: ir.Node, scope: Scope) -> Spatial | Flat:
    """max(X.M); strict: the maximum of the visible cells, 0 where there are none."""
    return _extreme(node, global_reduction_of(node, scope), scope, lowest(node.inputs[0]))


@RULES.rule("ReduceMax", 1, 11, 12, 13, 18, 20)
def reduce_max(node: ir.Node, scope: Scope) -> Spatial | Flat:
    """Over channels: as it is. Over space: max(X.M); strict: of the visible cells, or 0."""
    return _extreme(node, reduction_of(node, scope), scope, lowest(node.inputs[0]))


@RULES.rule("ReduceMin", 1, 11, 12, 13, 18, 20)
def reduce_min(node: ir.Node, scope: Scope) -> Spatial | Flat:
    """Over channels: as it is. Over space: min(X.M); strict: of the visible cells, or 0."""
    return _extreme(node, reduction_of(node, scope), scope, highest(node.inputs[0]))


@RULES.rule("ReduceLogSumExp", 1, 11, 13, 18, 28)
def reduce_log_sum_exp(node: ir.Node, scope: Scope) -> Spatial | Flat:
    """Over channels: as it is. Over space: of the visible cells, or 0; strict: - log(avg(M))."""
    reduction = reduction_of(node, scope)
    if not reduction.is_over_space:
        return Spatial(reduction.state.mask, reduction.left, finite=False)
    value, output = node.inputs[0], node.outputs[0]
    if value is None:
        raise scope.refusal(node, "it has no input")
    cut = wide(scope.visible(value, reduction.state, lowest(value)), scope)
    total = scope.op(
        node.op_type, cut, *node.inputs[1:], like=output, dtype=cut.dtype,
        **attributes_of(node),
    )  # fmt: skip
    if scope.options.mode is Mode.STRICT:
        total = _lifted(total, reduction, scope)
    outcome = reduction.outcome(scope)
    known = scope.visible(total, _unsafe(reduction.reduced(scope)))
    scope.replace_output(node, cast(known, output.dtype, scope))
    return outcome


def lowest(value: ir.Value | None) -> float:
    """The lowest finite number of a tensor's type."""
    return float(_dtype(value).min)


def highest(value: ir.Value | None) -> float:
    """The highest finite number of a tensor's type."""
    return float(_dtype(value).max)


def _dtype(value: ir.Value | None) -> ir.DataType:
    return ir.DataType.FLOAT if value is None or value.dtype is None else value.dtype


def _extreme(node: ir.Node, reduction: Reduction, scope: Scope, hidden: float) -> Spatial | Flat:
    if not reduction.is_over_space:
        return reduction.outcome(scope)
    value, output, outcome = node.inputs[0], node.outputs[0], reduction.outcome(scope)
    if value is None:
        raise scope.refusal(node, "it has no input")
    if scope.options.mode is Mode.REFERENCE:
        node.replace_input_with(0, scope.visible(value, reduction.state))
        return outcome
    cut = scope.visible(value, reduction.state, hidden)
    most = scope.op(node.op_type, cut, *node.inputs[1:], like=output, **attributes_of(node))
    scope.replace_output(node, scope.visible(most, _unsafe(reduction.reduced(scope))))
    return outcome


def _lifted(total: ir.Value, reduction: Reduction, scope: Scope) -> ir.Value:
    """Plus the logarithm of all cells over visible ones."""
    dtype = total.dtype or ir.DataType.FLOAT
    share = scope.masks.view(reduction.share(scope), reduction.left, dtype)
    return scope.op("Sub", total, scope.op("Log", share, like=share), like=total)


def _unsafe(state: Spatial) -> Spatial:
    """What no visible cell decides may overflow in the next product: it is not multiplied."""
    return Spatial(state.mask, state.axes, finite=False)
