"""Gradients of activation functions and elementwise functions of one tensor.

At kinks the derivatives are torch's. Where the output tells as much as the input the rules read the
output, so that ONNX Runtime can still fuse the activation into the convolution before it.
"""

import math
from collections.abc import Sequence

import onnx_ir as ir

from heatproof.graphs.gradients.emitter import GradientEmitter
from heatproof.graphs.gradients.table import Gradients, broadcasting, by_input, elementwise, first
from heatproof.graphs.nodes.roles import Role, declare_role
from heatproof.graphs.operators.emitter import Operand

_SELU_ALPHA, _SELU_GAMMA = 1.67326319217681884765625, 1.05070102214813232421875


@by_input({"Relu": (6, 13, 14)})
def relu(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Gives dx = dy where y > 0."""
    return _kept_between(node.outputs[0], (0.0, None), gradient, op)


@by_input({"Clip": (11, 12, 13)})
def clip(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Gives dx = dy where low < y < high, as torch's hardtanh: zero at the bounds."""
    y = node.outputs[0]
    low, high, *_ = (*node.inputs[1:], None, None)
    bounds = (low, high)
    tensors = [None if x is None else ir.convenience.get_const_tensor(x) for x in bounds]
    if any(x is not None and tensor is None for x, tensor in zip(bounds, tensors, strict=True)):
        return _masked_between(y, bounds, gradient, op)
    least, most = (None if tensor is None else float(tensor.numpy().item()) for tensor in tensors)
    return _kept_between(y, (least, most), gradient, op)


def _kept_between(
    y: ir.Value, bounds: tuple[float | None, float | None], gradient: ir.Value, op: GradientEmitter
) -> ir.Value:
    """Keeps dy where low < y < high."""
    low, high = bounds
    if low is not None:
        gradient = declare_role(op.mask(op("Greater", y, low), gradient), Role.STEP)
    if high is not None:
        gradient = declare_role(op.mask(op("Less", y, high), gradient), Role.STEP)
    return gradient


def _masked_between(
    y: ir.Value, bounds: Sequence[Operand], gradient: ir.Value, op: GradientEmitter
) -> ir.Value:
    """As `_kept_between`, for computed bounds."""
    low, high = bounds
    if low is not None:
        gradient = op.mask(op("Greater", y, low), gradient)
    if high is not None:
        gradient = op.mask(op("Less", y, high), gradient)
    return gradient


@by_input({"LeakyRelu": (6, 16)})
def leaky_relu(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Gives dx = dy where x > 0, alpha dy elsewhere."""
    alpha = node.attributes.get_float("alpha", 0.01)
    return op("Where", op("Greater", first(node), 0.0), gradient, op("Mul", gradient, alpha))


@broadcasting({"PRelu": (9, 16)})
def prelu(node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:
    """Gives dx = dy where x > 0, slope dy elsewhere; dslope = x dy where x <= 0."""
    (gradient,), (x, slope) = gradients, node.inputs
    if x is None:
        raise op.refusal("it has no input")
    positive = op("Greater", x, 0.0)
    by_slope = op("Where", positive, 0.0, op("Mul", gradient, x)) if slope in op.active else None
    return [op("Where", positive, gradient, op("Mul", gradient, slope)), by_slope]


@elementwise({"Sigmoid": (6, 13)})
def sigmoid(node: ir.Node, op: GradientEmitter) -> ir.Value:
    """Gives y (1 - y)."""
    y = node.outputs[0]
    return op("Mul", y, complement(y, op))


def swish_slope(x: ir.Value, y: ir.Value, op: GradientEmitter) -> ir.Value:
    """Gives s + y (1 - s) of y = x s, s = sigmoid(x), by way of 1 - s = sigmoid(-x).

    ONNX Runtime computes y in one step where nobody else reads s.
    """
    rest = op("Sigmoid", declare_role(op("Neg", x, like=x), Role.SCALING), like=x)
    return op("Add", complement(rest, op), op("Mul", y, rest, like=x), like=x)


def complement(share: ir.Value, op: GradientEmitter) -> ir.Value:
    """Gives 1 - s for s in [0, 1]."""
    return declare_role(op("Sub", 1.0, share, like=share), Role.COMPLEMENT)


@by_input({"HardSigmoid": (6, 22)})
def hard_sigmoid(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Gives dx = alpha dy where 0 < y < 1."""
    scaled = op("Mul", gradient, node.attributes.get_float("alpha", 0.2))
    return _kept_between(node.outputs[0], (0.0, 1.0), scaled, op)


@elementwise({"HardSwish": (14, 22)})
def hard_swish(node: ir.Node, op: GradientEmitter) -> ir.Value:
    """Gives 0, 2h - 1/2, 1 where h = 0, between, h = 1; h = clip(x / 6 + 1/2, 0, 1)."""
    x = first(node)
    h = op("HardSigmoid", x, like=x, alpha=1 / 6, beta=0.5)
    risen = op("Add", _times(h, 2.0, op), _jump("Greater", h, 0.0, -0.5, op), like=h)
    at_one = _times(_jump("GreaterOrEqual", h, 1.0, 1.0, op), -0.5, op)
    return op("Add", at_one, risen, like=h)


def _times(x: ir.Value, factor: float, op: GradientEmitter) -> ir.Value:
    return declare_role(op("Mul", x, factor, like=x), Role.SCALING)


def _jump(
    comparison: str, y: ir.Value, bound: float, height: float, op: GradientEmitter
) -> ir.Value:
    """`height` where a comparison with a constant holds, else 0."""
    held = op(comparison, y, bound, like=y, dtype=ir.DataType.BOOL)
    return declare_role(op("Where", held, height, 0.0, like=y), Role.JUMP)


@by_input({"Elu": (6, 22)})
def elu(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Gives dx = dy where x > 0, alpha e^x dy elsewhere."""
    x, alpha = first(node), node.attributes.get_float("alpha", 1.0)
    return _exponential_below_zero(x, gradient, op("Mul", gradient, alpha), op)


@by_input({"Selu": (6, 22)})
def selu(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Gives dx = gamma dy where x > 0, gamma alpha e^x dy elsewhere."""
    alpha = node.attributes.get_float("alpha", _SELU_ALPHA)
    scaled = op("Mul", gradient, node.attributes.get_float("gamma", _SELU_GAMMA))
    return _exponential_below_zero(first(node), scaled, op("Mul", scaled, alpha), op)


@by_input({"Celu": (12, 28)})
def celu(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Gives dx = dy where x > 0, e^(x / alpha) dy elsewhere."""
    x = op("Mul", first(node), 1 / node.attributes.get_float("alpha", 1.0))
    return _exponential_below_zero(x, gradient, gradient, op)


def _exponential_below_zero(
    x: ir.Value, above: ir.Value, below: ir.Value, op: GradientEmitter
) -> ir.Value:
    """`above` where x > 0, e^x `below` elsewhere; e^x is never computed where it overflows."""
    decay = op("Mul", below, op("Exp", op("Min", x, 0.0)))
    return op("Where", op("Greater", x, 0.0), above, decay)


@by_input({"ThresholdedRelu": (10, 22)})
def thresholded_relu(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Gives dx = dy where x > alpha."""
    alpha = node.attributes.get_float("alpha", 1.0)
    return op.mask(op("Greater", first(node), alpha), gradient)


@by_input({"Shrink": (9,)})
def shrink(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Gives dx = dy where |x| > lambd."""
    lambd = node.attributes.get_float("lambd", 0.5)
    return op.mask(op("Greater", op("Abs", first(node)), lambd), gradient)


@elementwise({"Softplus": (1, 22)})
def softplus(node: ir.Node, op: GradientEmitter) -> ir.Value:
    """sigmoid(x)."""
    return op("Sigmoid", first(node))


@elementwise({"Softsign": (1, 22)})
def softsign(node: ir.Node, op: GradientEmitter) -> ir.Value:
    """1 / (1 + |x|)^2."""
    width = op("Add", op("Abs", first(node)), 1.0)
    return op("Reciprocal", op("Mul", width, width))


@elementwise({"Tanh": (6, 13)})
def tanh(node: ir.Node, op: GradientEmitter) -> ir.Value:
    """1 - y^2."""
    y = node.outputs[0]
    return op("Sub", 1.0, op("Mul", y, y))


@elementwise({"Erf": (9, 13)})
def erf(node: ir.Node, op: GradientEmitter) -> ir.Value:
    """2 / sqrt(pi) e^(-x^2)."""
    x = first(node)
    return op("Mul", op("Exp", op("Neg", op("Mul", x, x))), 2 / math.sqrt(math.pi))


@elementwise({"Gelu": (20,)})
def gelu(node: ir.Node, op: GradientEmitter) -> ir.Value:
    """Phi(x) + x phi(x), or the derivative of the tanh approximation."""
    x = first(node)
    if node.attributes.get_string("approximate", "none") == "tanh":
        return _gelu_tanh(x, op)
    area = op("Add", op("Mul", op("Erf", op("Mul", x, math.sqrt(0.5))), 0.5), 0.5)
    density = op("Mul", op("Exp", op("Mul", op("Mul", x, x), -0.5)), 1 / math.sqrt(2 * math.pi))
    return op("Add", area, op("Mul", x, density))


def _gelu_tanh(x: ir.Value, op: GradientEmitter) -> ir.Value:
    """For y = x (1 + t) / 2, t = tanh(u), u = c (x + a x^3): (1 + t + x (1 - t^2) u') / 2."""
    scale, cubic = math.sqrt(2 / math.pi), 0.044715
    square = op("Mul", x, x)
    slope = op("Mul", op("Add", op("Mul", square, 3 * cubic), 1.0), scale)
    inner = op("Mul", op("Mul", op("Add", op("Mul", square, cubic), 1.0), x), scale)
    t = op("Tanh", inner)
    curved = op("Mul", op("Mul", x, slope), op("Sub", 1.0, op("Mul", t, t)))
    return op("Mul", op("Add", op("Add", t, 1.0), curved), 0.5)


@elementwise({"Swish": (24,)})
def swish(node: ir.Node, op: GradientEmitter) -> ir.Value:
    """Gives s + alpha y (1 - s), with s = sigmoid(alpha x)."""
    alpha = node.attributes.get_float("alpha", 1.0)
    s = op("Sigmoid", op("Mul", first(node), alpha))
    rest = op("Mul", op("Mul", node.outputs[0], alpha), op("Sub", 1.0, s))
    return op("Add", s, rest)
