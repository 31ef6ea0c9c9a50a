"""Operators that compute each cell from the same cell of several tensors: masks intersect."""

import onnx_ir as ir

from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import Axes, Flat, Mask, Spatial
from heatproof.graphs.masking.table import RULES
from heatproof.graphs.nodes.constants import is_finite, number


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
    finite = all(_is_tame(node, index, scope) for index in range(len(node.inputs)))
    weights = node.op_type == "Mul" and any(one.weights for _, one in scope.spatial_inputs(node))
    return Spatial(state.mask, state.axes, finite, weights)


@RULES.rule("Where", 9, 16)
def choice(node: ir.Node, scope: Scope) -> Spatial:
    """Where(C, X1, X2): visible where all are."""
    state = _intersected(node, scope)
    finite = all(is_finite_operand(value, scope) for value in node.inputs[1:])
    return Spatial(state.mask, state.axes, finite)


@RULES.family(
    {
        "And": (7,),
        "BitwiseAnd": (18,),
        "BitwiseOr": (18,),
        "BitwiseXor": (18,),
        "Equal": (7, 11, 13, 19),
        "Greater": (7, 9, 13),
        "GreaterOrEqual": (12, 16),
        "Less": (7, 9, 13),
        "LessOrEqual": (12, 16),
        "Or": (7,),
        "Xor": (7,),
    }
)
def comparison(node: ir.Node, scope: Scope) -> Spatial:
    """True or false, or bits: visible where all operands are."""
    state = _intersected(node, scope)
    return Spatial(state.mask, state.axes)


@RULES.rule("Div", 7, 13, 14)
def quotient(node: ir.Node, scope: Scope) -> Spatial:
    """X1 / X2: visible where both are; hidden cells of a narrower X2 become 1."""
    state = _intersected(node, scope)
    safe = _divides_safely(node) or _hide(node, 1, scope, hidden=1)
    return Spatial(state.mask, state.axes, _is_tame(node, 0, scope) and safe)


@RULES.rule("Pow", 7, 12, 13, 15)
def power(node: ir.Node, scope: Scope) -> Spatial:
    """X1 ^ X2: visible where both are; no poles where X2 is a natural number."""
    state = _intersected(node, scope)
    exponent = number(node.inputs[1])
    natural = exponent is not None and exponent >= 0 and exponent.is_integer()
    return Spatial(state.mask, state.axes, state.finite and natural)


@RULES.family({"BitShift": (11, 28), "Mod": (10, 13, 28)})
def combination_with_poles(node: ir.Node, scope: Scope) -> Spatial:
    """As `combination`; hidden cells may be infinite or NaN."""
    state = _intersected(node, scope)
    return Spatial(state.mask, state.axes, finite=False)


def _is_tame(node: ir.Node, index: int, scope: Scope) -> bool:
    """Whether the hidden cells of an operand are finite, if need be after hiding them."""
    return is_finite_operand(node.inputs[index], scope) or _hide(node, index, scope)


def _hide(node: ir.Node, index: int, scope: Scope, hidden: float = 0) -> bool:
    """Puts a number into the hidden cells of an operand that has fewer elements than the result.

    It costs little there, and spares readers of the result from infinities. Returns whether it did.
    """
    value, state = node.inputs[index], scope.state(node.inputs[index])
    if value is None or not isinstance(state, Spatial) or not _is_narrower(value, node.outputs[0]):
        return False
    node.replace_input_with(index, scope.visible(value, state, hidden))
    return True


def _is_narrower(value: ir.Value, output: ir.Value) -> bool:
    if value.shape is None or output.shape is None or value.shape.rank() != output.shape.rank():
        return False
    return list(value.shape)[1:] != list(output.shape)[1:]


def _intersected(node: ir.Node, scope: Scope) -> Spatial:
    operands = [state for _, state in scope.spatial_inputs(node)]
    axes = scope.joint_axes(node, operands)
    for value in node.inputs:
        _refuse_wider(value, axes.rank, node, scope)
    mask = scope.masks.intersection([operand.mask for operand in operands])
    if not covers(mask, axes, node.outputs[0]):
        raise scope.refusal(node, "it repeats a row or a column of its operand")
    return Spatial(mask, axes, all(operand.finite for operand in operands))


def _refuse_wider(value: ir.Value | None, rank: int, node: ir.Node, scope: Scope) -> None:
    if value is not None and (value.shape is None or value.shape.rank() > rank):
        raise scope.refusal(node, f"operand {value.name!r} has more axes than the spatial ones")


def covers(mask: Mask, axes: Axes, output: ir.Value) -> bool:
    """Whether the mask has a cell for each of the output's; one row may stand for all."""
    if output.shape is None:
        return True
    return all(output.shape[axis] == size for axis, size in axes.sizes(mask).items())


def is_finite_operand(value: ir.Value | None, scope: Scope) -> bool:
    """Whether hidden cells of an operand hold neither infinity nor NaN that others do not."""
    state = scope.state(value)
    if isinstance(state, Spatial):
        return state.finite
    return state.finite if isinstance(state, Flat) else is_finite(value)


def _divides_safely(node: ir.Node) -> bool:
    divisor = node.inputs[1]
    if divisor is None or divisor.const_value is None:
        return False
    return is_finite(divisor) and bool((divisor.const_value.numpy() != 0).all())
