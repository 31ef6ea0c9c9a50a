"""Gradients of reductions."""

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from heatproof.graphs.gradients.broadcasting import known_sizes, reciprocal_ratio, spread_as
from heatproof.graphs.gradients.emitter import GradientEmitter
from heatproof.graphs.gradients.table import by_input, constant_of, documented_by, first
from heatproof.graphs.nodes.roles import Role, declare_role

Spreading = Callable[[ir.Node, ir.Value, ir.Value, GradientEmitter], ir.Value]
"""From dy and y, both with the reduced axes as length 1, to dx."""


def _reduction(versions: dict[str, Sequence[int]]) -> Callable[[Spreading], Spreading]:
    """Registers a rule that sees the reduced axes as axes of length 1."""

    def register(spreading: Spreading) -> Spreading:
        @by_input(versions)
        @documented_by(spreading)
        def _(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
            axes = _axes(node, op)
            y = node.outputs[0]
            if not node.attributes.get_int("keepdims", 1) and axes:
                gradient = op.over("Unsqueeze", gradient, axes)
                y = op.over("Unsqueeze", y, axes)
            return spreading(node, gradient, y, op)

        return spreading

    return register


def _axes(node: ir.Node, op: GradientEmitter) -> list[int]:
    rank = len(known_sizes(first(node), op))
    axes: Sequence[int] = node.attributes.get_ints("axes") or ()
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        axes = [int(axis) for axis in constant_of(node.inputs[1], "its axes", op)]
    if not axes and not node.attributes.get_int("noop_with_empty_axes", 0):
        return list(range(rank))
    return sorted(axis % rank for axis in axes)


@_reduction({"ReduceSum": (11, 13)})
def reduce_sum(node: ir.Node, gradient: ir.Value, y: ir.Value, op: GradientEmitter) -> ir.Value:  # noqa: ARG001 - as every rule
    """Gives dx = dy."""
    return spread_as(first(node), gradient, op)


@_reduction({"ReduceMean": (11, 13, 18)})
def reduce_mean(node: ir.Node, gradient: ir.Value, y: ir.Value, op: GradientEmitter) -> ir.Value:  # noqa: ARG001 - as every rule
    """Gives dx = dy / n."""
    axes = _axes(node, op)
    shared = op("Mul", gradient, _share(node, axes, op))
    spread = spread_as(first(node), shared, op)
    is_of_cells = axes == [2, 3] and len(known_sizes(first(node), op)) == 4  # [N, C, height, width]
    return declare_role(spread, Role.SPREADING) if is_of_cells else spread


def _share(node: ir.Node, axes: Sequence[int], op: GradientEmitter) -> ir.Value:
    """1 / n with n the number of elements reduced into one."""
    sizes = [known_sizes(first(node), op)[axis] for axis in axes]
    static = [size for size in sizes if size is not None]
    if len(static) == len(sizes):
        return op.scalar(1 / int(np.prod(static, dtype=np.int64)))
    return reciprocal_ratio(first(node), node.outputs[0], op)


@_reduction({"ReduceMax": (11, 12, 13, 18, 20), "ReduceMin": (11, 12, 13, 18, 20)})
def reduce_extremum(
    node: ir.Node, gradient: ir.Value, y: ir.Value, op: GradientEmitter
) -> ir.Value:
    """Gives dy in equal shares to the elements that attain the extremum, as torch's amax."""
    dtype = node.outputs[0].dtype
    if dtype is None:
        raise op.refusal("its element type is unknown")
    attained = op("Cast", op("Equal", first(node), y), to=int(dtype))
    share = op("Div", gradient, op.sum_over(attained, _axes(node, op)))
    return op("Mul", attained, share)


@_reduction({"ReduceProd": (11, 13, 18)})
def reduce_prod(node: ir.Node, gradient: ir.Value, y: ir.Value, op: GradientEmitter) -> ir.Value:
    """Gives dy times the product of the other elements, which zeros do not hide."""
    x, axes = first(node), _axes(node, op)
    zero = op("Equal", x, 0.0)
    zeros = op.sum_over(op("Cast", zero, to=int(ir.DataType.from_numpy(op.dtype))), axes)
    rest = op.over("ReduceProd", op("Where", zero, 1.0, x), axes, keepdims=1)
    at_zero = op.mask(op("Equal", zeros, 1.0), rest)
    others = op("Where", zero, at_zero, op("Div", y, op("Where", zero, 1.0, x)))
    return op("Mul", gradient, others)


@_reduction({"ReduceL1": (11, 13, 18)})
def reduce_l1(node: ir.Node, gradient: ir.Value, y: ir.Value, op: GradientEmitter) -> ir.Value:  # noqa: ARG001 - as every rule
    """Gives dx = dy sign(x)."""
    return op("Mul", gradient, op("Sign", first(node)))


@_reduction({"ReduceL2": (11, 13, 18)})
def reduce_l2(node: ir.Node, gradient: ir.Value, y: ir.Value, op: GradientEmitter) -> ir.Value:
    """Gives dx = dy x / y, zero where y = 0."""
    positive = op("Greater", y, 0.0)
    scaled = op("Div", gradient, op("Where", positive, y, 1.0))
    return op("Mul", op.mask(positive, scaled), first(node))


@_reduction({"ReduceSumSquare": (11, 13, 18)})
def reduce_sum_square(
    node: ir.Node,
    gradient: ir.Value,
    y: ir.Value,  # noqa: ARG001 - as every rule
    op: GradientEmitter,
) -> ir.Value:
    """Gives dx = 2 x dy."""
    return op("Mul", op("Mul", gradient, 2.0), first(node))


@_reduction({"ReduceLogSum": (11, 13, 18, 28)})
def reduce_log_sum(node: ir.Node, gradient: ir.Value, y: ir.Value, op: GradientEmitter) -> ir.Value:
    """Gives dx = dy / e^y."""
    return spread_as(first(node), op("Div", gradient, op("Exp", y)), op)


@_reduction({"ReduceLogSumExp": (11, 13, 18, 28)})
def reduce_log_sum_exp(
    node: ir.Node, gradient: ir.Value, y: ir.Value, op: GradientEmitter
) -> ir.Value:
    """Gives dx = dy e^(x - y)."""
    return op("Mul", gradient, op("Exp", op("Sub", first(node), y)))
