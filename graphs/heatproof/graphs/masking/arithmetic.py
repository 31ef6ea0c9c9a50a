"""Operators that compute each cell from the same cell of several tensors: masks intersect."""

import onnx_ir as ir

from heatproof.graphs.masking.constants import is_finite
from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import Axes, Flat, Mask, Spatial
from heatproof.graphs.masking.table import RULES


@RULES.family(
    {
        "Add": (7, 13, 14),
        "Max": (8, 12, 13),
        "Mean": (8, 13),
        "Min": (8, 12, 13),
        "Mul": (7, 13, 14),
        "Sub": (7, 13, 14),
        "Sum": (8, 13),
        "PRelu": (7, 9, 16),
    }
)
def combination(node: ir.Node, scope: Scope) -> Spatial:
    """f(X1, X2, ...): visible where all are; gates and constants are visible everywhere."""
    state = _intersected(node, scope)
    finite = state.finite and all(_is_finite(value, scope) for value in node.inputs)
    return Spatial(state.mask, state.axes, finite)


@RULES.family(
    {
        "And": (7,),
        "Div": (7, 13, 14),
        "Equal": (7, 11, 13, 19),
        "Greater": (7, 9, 13),
        "GreaterOrEqual": (12, 16),
        "Less": (7, 9, 13),
        "LessOrEqual": (12, 16),
        "Mod": (10, 13),
        "Or": (7,),
        "Pow": (7, 12, 13, 15),
        "Where": (9, 16),
    }
)
def combination_with_poles(node: ir.Node, scope: Scope) -> Spatial:
    """As `combination`; hidden cells may be infinite or NaN."""
    state = _intersected(node, scope)
    finite = node.op_type == "Div" and state.finite and _divides_safely(node)
    return Spatial(state.mask, state.axes, finite)


def _intersected(node: ir.Node, scope: Scope) -> Spatial:
    operands = [state for _, state in scope.spatial_inputs(node)]
    axes = scope.joint_axes(node, operands)
    for value in node.inputs:
        _refuse_wider(value, axes.rank, node, scope)
    mask = scope.masks.intersection([operand.mask for operand in operands])
    if not _covers(mask, axes, node.outputs[0]):
        raise scope.refusal(node, "it repeats a row or a column of its operand")
    return Spatial(mask, axes, all(operand.finite for operand in operands))


def _refuse_wider(value: ir.Value | None, rank: int, node: ir.Node, scope: Scope) -> None:
    if value is not None and (value.shape is None or value.shape.rank() > rank):
        raise scope.refusal(node, f"operand {value.name!r} has more axes than the spatial ones")


def _covers(mask: Mask, axes: Axes, output: ir.Value) -> bool:
    """Whether the mask has a cell for each of the output's; one row may stand for all."""
    if output.shape is None:
        return True
    return all(output.shape[axis] == size for axis, size in axes.sizes(mask).items())


def _is_finite(value: ir.Value | None, scope: Scope) -> bool:
    state = scope.state(value)
    if isinstance(state, Spatial):
        return state.finite
    # What is not finite in a gate is in every cell, hidden or not.
    return isinstance(state, Flat) or is_finite(value)


def _divides_safely(node: ir.Node) -> bool:
    divisor = node.inputs[1]
    if divisor is None or divisor.const_value is None:
        return False
    return is_finite(divisor) and bool((divisor.const_value.numpy() != 0).all())
