"""Gradients of elementary functions of one tensor."""

import onnx_ir as ir

from heatproof.graphs.gradients.emitter import GradientEmitter
from heatproof.graphs.gradients.table import by_input, elementwise, first


@elementwise({"Abs": (6, 13)})
def absolute(node: ir.Node, op: GradientEmitter) -> ir.Value:
    """sign(x), zero at zero."""
    return op("Sign", first(node))


@elementwise({"Exp": (6, 13)})
def exponential(node: ir.Node, op: GradientEmitter) -> ir.Value:  # noqa: ARG001 - as every rule
    """e^x."""
    return node.outputs[0]


@by_input({"Log": (6, 13)})
def logarithm(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Gives dy / x."""
    return op("Div", gradient, first(node))


@by_input({"Sqrt": (6, 13)})
def square_root(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Gives dy / 2y."""
    return op("Div", gradient, op("Mul", node.outputs[0], 2.0))


@elementwise({"Reciprocal": (6, 13)})
def reciprocal(node: ir.Node, op: GradientEmitter) -> ir.Value:
    """-y^2."""
    return op("Neg", op("Mul", node.outputs[0], node.outputs[0]))


@elementwise({"Sin": (7, 22)})
def sine(node: ir.Node, op: GradientEmitter) -> ir.Value:
    """Gives cos x."""
    return op("Cos", first(node))


@elementwise({"Cos": (7, 22)})
def cosine(node: ir.Node, op: GradientEmitter) -> ir.Value:
    """-sin x."""
    return op("Neg", op("Sin", first(node)))


@elementwise({"Atan": (7, 22)})
def arctangent(node: ir.Node, op: GradientEmitter) -> ir.Value:
    """1 / (1 + x^2)."""
    x = first(node)
    return op("Reciprocal", op("Add", op("Mul", x, x), 1.0))


@elementwise({"Tan": (7, 22)})
def tangent(node: ir.Node, op: GradientEmitter) -> ir.Value:
    """1 + y^2."""
    return op("Add", op("Mul", node.outputs[0], node.outputs[0]), 1.0)


@elementwise({"Asin": (7, 22)})
def arcsine(node: ir.Node, op: GradientEmitter) -> ir.Value:
    """1 / sqrt(1 - x^2)."""
    x = first(node)
    return op("Reciprocal", op("Sqrt", op("Sub", 1.0, op("Mul", x, x))))


@elementwise({"Acos": (7, 22)})
def arccosine(node: ir.Node, op: GradientEmitter) -> ir.Value:
    """-1 / sqrt(1 - x^2)."""
    return op("Neg", arcsine(node, op))


@elementwise({"Sinh": (9, 22)})
def hyperbolic_sine(node: ir.Node, op: GradientEmitter) -> ir.Value:
    """sqrt(1 + y^2) = cosh x."""
    y = node.outputs[0]
    return op("Sqrt", op("Add", op("Mul", y, y), 1.0))


@elementwise({"Cosh": (9, 22)})
def hyperbolic_cosine(node: ir.Node, op: GradientEmitter) -> ir.Value:
    """Gives y tanh x = sinh x."""
    return op("Mul", node.outputs[0], op("Tanh", first(node)))


@elementwise({"Asinh": (9, 22)})
def area_hyperbolic_sine(node: ir.Node, op: GradientEmitter) -> ir.Value:
    """1 / sqrt(x^2 + 1)."""
    x = first(node)
    return op("Reciprocal", op("Sqrt", op("Add", op("Mul", x, x), 1.0)))


@elementwise({"Acosh": (9, 22)})
def area_hyperbolic_cosine(node: ir.Node, op: GradientEmitter) -> ir.Value:
    """1 / sqrt(x^2 - 1)."""
    x = first(node)
    return op("Reciprocal", op("Sqrt", op("Sub", op("Mul", x, x), 1.0)))


@elementwise({"Atanh": (9, 22)})
def area_hyperbolic_tangent(node: ir.Node, op: GradientEmitter) -> ir.Value:
    """1 / (1 - x^2)."""
    x = first(node)
    return op("Reciprocal", op("Sub", 1.0, op("Mul", x, x)))
