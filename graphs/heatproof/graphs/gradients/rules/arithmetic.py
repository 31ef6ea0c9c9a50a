"""Gradients of arithmetic, elementwise and with broadcasting."""

import onnx_ir as ir

from heatproof.graphs.gradients.emitter import GradientEmitter
from heatproof.graphs.gradients.rules.activations import swish_slope
from heatproof.graphs.gradients.table import GRADIENTS, Gradients, broadcasting, by_input, first
from heatproof.graphs.nodes.forms import is_sigmoid_of


def _operands(node: ir.Node, op: GradientEmitter) -> list[ir.Value]:
    operands = [value for value in node.inputs if value is not None]
    if len(operands) < len(node.inputs):
        raise op.refusal("an operand is missing")
    return operands


@broadcasting({"Add": (7, 13, 14), "Sum": (8, 13)})
def add(node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:
    """Every term gets dy."""
    return [gradients[0]] * len(_operands(node, op))


@broadcasting({"Sub": (7, 13, 14)})
def sub(node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:
    """Gives dy and -dy."""
    subtracted = node.inputs[1] in op.active
    return [gradients[0], op("Neg", gradients[0]) if subtracted else None]


@broadcasting({"Mul": (7, 13, 14)})
def mul(node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:
    """Each factor gets dy times the other."""
    a, b = _operands(node, op)
    for x, gate in ((a, b), (b, a)):
        if is_sigmoid_of(gate, x) and x in op.active:
            # SiLU: its gradient costs less in one piece.
            whole = op("Mul", gradients[0], swish_slope(x, node.outputs[0], op))
            return [whole, None] if x is a else [None, whole]
    return [
        op("Mul", gradients[0], other) if factor in op.active else None
        for factor, other in ((a, b), (b, a))
    ]


@broadcasting({"Div": (7, 13, 14)})
def div(node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:
    """Gives da = dy / b and db = -da y."""
    by_numerator = op("Div", gradients[0], node.inputs[1])
    if node.inputs[1] not in op.active:
        return [by_numerator]
    return [by_numerator, op("Neg", op("Mul", by_numerator, node.outputs[0]))]


@broadcasting({"Mod": (10, 13, 28)})
def modulo(node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:
    """For y = a - b n with n whole: da = dy and db = dy (y - a) / b."""
    a, b = _operands(node, op)
    if b not in op.active:
        return [gradients[0]]
    turns = op("Div", op("Sub", node.outputs[0], a), b)
    return [gradients[0], op("Mul", gradients[0], turns)]


@broadcasting({"Mean": (8, 13)})
def mean(node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:
    """Every term gets an equal share of dy."""
    return [op("Mul", gradients[0], 1 / len(node.inputs))] * len(node.inputs)


@broadcasting({"Max": (8, 12, 13), "Min": (8, 12, 13)})
def extremum(node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:
    """Gives dy in equal shares to the operands that attain the extremum."""
    operands = _operands(node, op)
    attained = [op("Cast", op("Equal", x, node.outputs[0]), to=_code(node)) for x in operands]
    share = op("Div", gradients[0], op("Sum", *attained))
    return [op("Mul", share, hit) for hit in attained]


def _code(node: ir.Node) -> int:
    dtype = node.outputs[0].dtype
    return int(ir.DataType.FLOAT if dtype is None else dtype)


@broadcasting({"Pow": (7, 12, 13, 15)})
def power(node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:
    """Gives dx = dy p x^(p - 1), zero where p = 0; dp = dy y ln x, zero where x = 0 <= p."""
    x, exponent = _operands(node, op)
    p = op("Cast", exponent, to=_code(node)) if exponent.dtype != x.dtype else exponent
    zero = op("Equal", p, 0.0)
    by_base = op.mask(op("Not", zero), op("Mul", p, op("Pow", x, op("Sub", p, 1.0))))
    if exponent not in op.active:
        return [op("Mul", gradients[0], by_base)]
    ended = op("And", op("Equal", x, 0.0), op("Not", op("Less", p, 0.0)))
    by_exponent = op("Where", ended, 0.0, op("Mul", node.outputs[0], op("Log", x)))
    return [op("Mul", gradients[0], by_base), op("Mul", gradients[0], by_exponent)]


@broadcasting({"Where": (9, 16)})
def where(node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:
    """Sends dy to the operand that was chosen."""
    condition = node.inputs[0]
    if condition is None:
        raise op.refusal("it has no condition")
    chosen = op.mask(condition, gradients[0])
    other = op("Where", condition, 0.0, gradients[0]) if node.inputs[2] in op.active else None
    return [None, chosen, other]


@GRADIENTS.family({"Cast": (9, 13, 19, 21, 23, 24, 25, 28)})
def cast(node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:
    """Gives dy in the element type of x."""
    dtype = first(node).dtype
    if dtype is None:
        raise op.refusal("the element type of its input is unknown")
    return [op("Cast", gradients[0], to=int(dtype))]


@GRADIENTS.family({"Identity": (1, 13, 14, 16, 19, 21, 23, 24, 25)})
def identity(node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:  # noqa: ARG001 - as every rule
    """Passes dy on."""
    return gradients


@by_input({"Neg": (6, 13)})
def neg(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:  # noqa: ARG001 - as every rule
    """-dy."""
    return op("Neg", gradient)
