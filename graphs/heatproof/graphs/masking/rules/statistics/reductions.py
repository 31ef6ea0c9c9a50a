"""Reductions: over channels they keep the mask, over space they take visible cells only."""

from dataclasses import dataclass, replace

import onnx_ir as ir

from heatproof.graphs.masking.options import Mode
from heatproof.graphs.masking.rules.statistics.means import cast, divided, is_renormalized, wide
from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import Axes, Flat, Mask, Spatial
from heatproof.graphs.masking.table import RULES
from heatproof.graphs.nodes.constants import integers
from heatproof.graphs.operators.emitter import attributes_of


@dataclass(frozen=True, slots=True)
class Reduction:
    """What a node reduces.

    Attributes:
        state: of its input.
        axes: those that it reduces, counted from the front.
        keepdims: whether they stay, with size 1.
    """

    state: Spatial
    axes: frozenset[int]
    keepdims: bool

    @property
    def is_over_space(self) -> bool:
        """Whether it mixes cells."""
        return bool(self.axes.intersection(self.state.axes.spatial))

    @property
    def left(self) -> Axes:
        """The spatial axes of the result."""
        return self.state.axes if self.keepdims else self.state.axes.without(self.axes)

    @property
    def along(self) -> tuple[bool, bool]:
        """Whether it goes along the rows' axis, and along the columns'."""
        return self.state.axes.height in self.axes, self.state.axes.width in self.axes

    def share(self, scope: Scope) -> Mask:
        """The visible share of what it reduces, laid out as a mask of the result."""
        rows, columns = self.along
        counted = self.state.counts or self.state.mask
        return scope.masks.guarded_share(counted, rows=rows, columns=columns)

    def reduced(self, scope: Scope) -> Spatial:
        """The state of the result: visible where any of the cells that it reduces is."""
        rows, columns = self.along
        mask = scope.masks.reduced(self.state.mask, rows=rows, columns=columns)
        return Spatial(mask, self.left, self.state.finite or self.is_over_space)

    def outcome(self, scope: Scope) -> Spatial | Flat:
        """As `reduced`, or the exit where no spatial axis is left."""
        if self.axes.issuperset(self.state.axes.spatial):
            return scope.exit([self.state.mask])
        return self.reduced(scope)


def reduction_of(node: ir.Node, scope: Scope) -> Reduction:
    """The reduction of a node of the Reduce family."""
    state = scope.spatial(node)
    axes = reduced_axes(node, scope, state.axes.rank)
    return Reduction(state, frozenset(axes), bool(node.attributes.get_int("keepdims", 1)))


def global_reduction_of(node: ir.Node, scope: Scope) -> Reduction:
    """The reduction of a global pool: all axes but batch and channels."""
    state = scope.spatial(node)
    return Reduction(state, frozenset(range(2, state.axes.rank)), keepdims=True)


@RULES.rule("ReduceMean", 1, 11, 13, 18)
def reduce_mean(node: ir.Node, scope: Scope) -> Spatial | Flat:
    """Over channels: as it is. Over space, or one axis of it: avg(X.M) / (avg(M) + 1e-8)."""
    return averaged(node, reduction_of(node, scope), scope)


@RULES.rule("GlobalAveragePool", 1, 22)
def global_average_pool(node: ir.Node, scope: Scope) -> Spatial | Flat:
    """avg(X.M) / (avg(M) + 1e-8), or avg(X.M) with the plain option."""
    return averaged(node, global_reduction_of(node, scope), scope)


@RULES.family({"ReduceSum": (1, 11, 13), "ReduceL1": (1, 11, 13, 18)})
def reduce_sum(node: ir.Node, scope: Scope) -> Spatial | Flat:
    """Over channels: as it is. Over space: sum(X.M); strict: divided by avg(M) + 1e-8."""
    return _summed(node, reduction_of(node, scope), scope)


@RULES.rule("ReduceSumSquare", 1, 11, 13, 18)
def reduce_sum_square(node: ir.Node, scope: Scope) -> Spatial | Flat:
    """As the sum, of squares, which may overflow in hidden cells."""
    return _maybe_infinite(_summed(node, reduction_of(node, scope), scope))


@RULES.rule("ReduceL2", 1, 11, 13, 18)
def reduce_l2(node: ir.Node, scope: Scope) -> Spatial | Flat:
    """As the sum of squares, and its root; strict: divided by the root of avg(M) + 1e-8."""
    return _maybe_infinite(_summed(node, reduction_of(node, scope), scope, root=2))


@RULES.rule("GlobalLpPool", 1, 2, 22)
def global_lp_pool(node: ir.Node, scope: Scope) -> Spatial | Flat:
    """(sum |X.M|^p)^(1/p); strict: divided by (avg(M) + 1e-8)^(1/p)."""
    power = node.attributes.get("p")
    root = 2.0 if power is None else float(power.value)  # a float in the first version
    return _maybe_infinite(_summed(node, global_reduction_of(node, scope), scope, root=root))


@RULES.family({"ReduceProd": (1, 11, 13, 18), "ReduceLogSum": (1, 11, 13, 18, 28)})
def reduce_over_channels(node: ir.Node, scope: Scope) -> Spatial:
    """Over channels: as it is, possibly infinite. Over space: refused."""
    reduction = reduction_of(node, scope)
    if reduction.is_over_space:
        raise scope.refusal(node, "removed cells as zeros would decide it, whatever the others are")
    return Spatial(reduction.state.mask, reduction.left, finite=False)


@RULES.family({"ArgMax": (1, 11, 12, 13), "ArgMin": (1, 11, 12, 13)})
def place_of_extreme(node: ir.Node, scope: Scope) -> Spatial:
    """Over channels: a number for each cell. Over space: refused."""
    state = scope.spatial(node)
    axis = node.attributes.get_int("axis", 0) % state.axes.rank
    if axis in (0, *state.axes.spatial):
        raise scope.refusal(node, "its result is the place of a cell, or an image of the batch")
    keepdims = bool(node.attributes.get_int("keepdims", 1))
    return Spatial(state.mask, Reduction(state, frozenset({axis}), keepdims).left)


def averaged(node: ir.Node, reduction: Reduction, scope: Scope) -> Spatial | Flat:
    """The outcome of a mean, which over space divides by the visible share in the node's place."""
    if not reduction.is_over_space:
        return reduction.outcome(scope)
    outcome = reduction.outcome(scope)
    _show_visible(node, reduction, scope)
    if not is_renormalized(reduction.state, scope):
        return outcome
    if isinstance(outcome, Spatial):
        outcome = replace(outcome, counts=reduction.share(scope))
    _divide(node, reduction, scope)
    return outcome


def _summed(node: ir.Node, reduction: Reduction, scope: Scope, root: float = 1) -> Spatial | Flat:
    outcome = reduction.outcome(scope)
    if reduction.is_over_space:
        _show_visible(node, reduction, scope)
        if scope.options.mode is Mode.STRICT and is_renormalized(reduction.state, scope):
            _divide(node, reduction, scope, root)
    return outcome


def _show_visible(node: ir.Node, reduction: Reduction, scope: Scope) -> None:
    value, state = node.inputs[0], reduction.state
    if value is not None:
        node.replace_input_with(0, scope.visible(value, state))


def _divide(node: ir.Node, reduction: Reduction, scope: Scope, root: float = 1) -> None:
    """Divides the result by (a root of) the visible share, in single precision at least."""
    output, value = node.outputs[0], node.inputs[0]
    if value is None or value.dtype is None or not value.dtype.is_floating_point():
        raise scope.refusal(node, "its input is not of a floating-point type")
    operand = wide(value, scope)
    if reduction.state.counts is not None:  # each of these means weighs as much as it has cells
        dtype = operand.dtype or ir.DataType.FLOAT
        weights = scope.masks.view(reduction.state.counts, reduction.state.axes, dtype)
        operand = scope.op("Mul", operand, weights, like=operand)
    whole = scope.op(
        node.op_type, operand, *node.inputs[1:], like=output, dtype=operand.dtype,
        **attributes_of(node),
    )  # fmt: skip
    mean = divided(whole, reduction.share(scope), reduction.left, scope, root)
    scope.replace_output(node, cast(mean, output.dtype, scope))


def _maybe_infinite(state: Spatial | Flat) -> Spatial | Flat:
    """Powers of large numbers overflow; half precision does soon."""
    return state if isinstance(state, Flat) else Spatial(state.mask, state.axes, finite=False)


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
