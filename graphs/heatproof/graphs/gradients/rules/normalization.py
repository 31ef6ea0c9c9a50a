"""Gradients of normalisations."""

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from heatproof.graphs.gradients.broadcasting import known_sizes, shaped_as
from heatproof.graphs.gradients.emitter import GradientEmitter
from heatproof.graphs.gradients.table import by_input, first

_EPSILON = 1e-5  # default of every schema here


@by_input({"BatchNormalization": (9, 14, 15)})
def batch_normalization(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """At inference an affine map: dx = dy scale / sqrt(var + epsilon)."""
    if node.attributes.get_int("training_mode", 0):
        raise op.refusal("it is in training mode; export the model with model.eval()")
    scale, variance = node.inputs[1], node.inputs[4]
    if scale is None or variance is None:
        raise op.refusal("its parameters are missing")
    epsilon = node.attributes.get_float("epsilon", _EPSILON)
    tensors = [ir.convenience.get_const_tensor(value) for value in (scale, variance)]
    column = [-1, *[1] * (len(known_sizes(first(node), op)) - 2)]
    if tensors[0] is not None and tensors[1] is not None:
        s, v = (tensor.numpy().astype(np.float64) for tensor in tensors if tensor is not None)
        factor = (s / np.sqrt(v + epsilon)).astype(op.dtype).reshape(column)
        return op("Mul", gradient, op.constant(factor))
    computed = op("Div", scale, op("Sqrt", op("Add", variance, epsilon)))
    return op("Mul", gradient, op("Reshape", computed, op.integers(*column)))


@by_input({"LayerNormalization": (17,)})
def layer_normalization(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Standardises over the axes from `axis` on."""
    x = first(node)
    rank = len(known_sizes(x, op))
    axes = range(node.attributes.get_int("axis", -1) % rank, rank)
    weighted = op("Mul", gradient, node.inputs[1])
    return standardised(x, weighted, axes, _epsilon(node), op)


@by_input({"RMSNormalization": (23,)})
def rms_normalization(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Divides by the root of the mean square over the axes from `axis` on."""
    x = first(node)
    rank = len(known_sizes(x, op))
    axes = range(node.attributes.get_int("axis", -1) % rank, rank)
    weighted = op("Mul", gradient, node.inputs[1])
    return standardised(x, weighted, axes, _epsilon(node), op, centred=False)


@by_input({"InstanceNormalization": (6, 22)})
def instance_normalization(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Standardises each channel of each image."""
    x = first(node)
    rank = len(known_sizes(x, op))
    weighted = op("Mul", gradient, _column(node.inputs[1], rank, op))
    return standardised(x, weighted, range(2, rank), _epsilon(node), op)


@by_input({"GroupNormalization": (21,)})
def group_normalization(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Standardises each group of channels."""
    x = first(node)
    weighted = op("Mul", gradient, _column(node.inputs[1], len(known_sizes(x, op)), op))
    split = op.integers(0, node.attributes.get_int("num_groups", 1), -1)
    grouped, pulled = op("Reshape", x, split), op("Reshape", weighted, split)
    return shaped_as(x, standardised(grouped, pulled, [2], _epsilon(node), op), op)


@by_input({"MeanVarianceNormalization": (9, 13)})
def mean_variance_normalization(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Standardises over given axes: y = (x - mean) / (std + 1e-9)."""
    axes = list(node.attributes.get_ints("axes") or [0, 2, 3])
    return standardised(first(node), gradient, axes, 0.0, op)


def _epsilon(node: ir.Node) -> float:
    return node.attributes.get_float("epsilon", _EPSILON)


def _column(scale: ir.Value | None, rank: int, op: GradientEmitter) -> ir.Value:
    """One value per channel, to multiply [N, C, ...]."""
    return op("Reshape", scale, op.integers(-1, *[1] * (rank - 2)))


def standardised(
    x: ir.Value,
    gradient: ir.Value,
    axes: Sequence[int],
    epsilon: float,
    op: GradientEmitter,
    *,
    centred: bool = True,
) -> ir.Value:
    """Gradient of u = (x - mean) r, r = 1 / sqrt(var + epsilon), over axes.

    dx = r (du - mean(du) - u mean(u du)), by Ioffe and Szegedy 2015; without mean(du) where x is
    not centred. Squares overflow float16, so that is computed in float32, as runtimes do.
    """
    if op.dtype.itemsize < np.dtype(np.float32).itemsize:
        own = int(ir.DataType.from_numpy(op.dtype))
        x, gradient = (op("Cast", value, to=int(ir.DataType.FLOAT)) for value in (x, gradient))
        with op.in_dtype(ir.DataType.FLOAT):
            result = standardised(x, gradient, axes, epsilon, op, centred=centred)
        return op("Cast", result, to=own)
    if centred:
        x = op("Sub", x, op.mean_over(x, axes))
    variance = op.mean_over(op("Mul", x, x), axes)
    r = op("Reciprocal", op("Sqrt", op("Add", variance, epsilon)))
    u = op("Mul", x, r)
    along = op("Mul", u, op.mean_over(op("Mul", u, gradient), axes))
    rest = op("Sub", gradient, op.mean_over(gradient, axes)) if centred else gradient
    return op("Mul", r, op("Sub", rest, along))


@by_input({"LRN": (1, 13)})
def lrn(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """For y = x d^-beta, d = bias + alpha / size sum x^2 over the window of neighbouring channels.

    dx = dy d^-beta - 2 alpha beta / size x sum(dy y / d) over the mirrored window.
    """
    x, size = first(node), node.attributes.get_int("size", 1)
    alpha = node.attributes.get_float("alpha", 1e-4) / size
    beta = node.attributes.get_float("beta", 0.75)
    known = known_sizes(x, op)
    if known[1] is None:
        raise op.refusal("its number of channels is dynamic")
    band = _band(known[1], size).reshape(known[1], known[1], *[1] * (len(known) - 2))
    squares = op("Conv", op("Mul", x, x), op.constant(band.astype(op.dtype)))
    d = op("Add", op("Mul", squares, alpha), node.attributes.get_float("bias", 1.0))
    pulled = op("Div", op("Mul", gradient, node.outputs[0]), d)
    mirrored = op("Conv", pulled, op.constant(band.swapaxes(0, 1).astype(op.dtype)))
    direct = op("Mul", gradient, op("Pow", d, -beta))
    return op("Sub", direct, op("Mul", op("Mul", x, mirrored), 2 * alpha * beta))


def _band(channels: int, size: int) -> np.ndarray:
    """Row c is 1 on the channels whose squares are summed for channel c."""
    distance = np.arange(channels)[None, :] - np.arange(channels)[:, None]
    return (distance >= -((size - 1) // 2)) & (distance <= math.ceil((size - 1) / 2))


@by_input({"Softmax": (11, 13)})
def softmax(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Gives dx = y (dy - sum(y dy))."""
    y = node.outputs[0]
    total = op.sum_over(op("Mul", y, gradient), _softmax_axes(node, op))
    return op("Mul", y, op("Sub", gradient, total))


@by_input({"LogSoftmax": (11, 13)})
def log_softmax(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Gives dx = dy - e^y sum(dy)."""
    total = op.sum_over(gradient, _softmax_axes(node, op))
    return op("Sub", gradient, op("Mul", op("Exp", node.outputs[0]), total))


def _softmax_axes(node: ir.Node, op: GradientEmitter) -> list[int]:
    """One axis; before opset 13 all axes from that one on."""
    rank = len(known_sizes(first(node), op))
    if op.opset >= 13:  # as above
        return [node.attributes.get_int("axis", -1) % rank]
    return list(range(node.attributes.get_int("axis", 1) % rank, rank))


@by_input({"LpNormalization": (1, 22)})
def lp_normalization(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """For y = x / |x|: dx = (dy - v sum(y dy)) / |x|, v = y if p = 2 and sign(x) if p = 1."""
    x, y = first(node), node.outputs[0]
    axes = [node.attributes.get_int("axis", -1) % len(known_sizes(x, op))]
    along = op.sum_over(op("Mul", y, gradient), axes)
    if node.attributes.get_int("p", 2) == 1:
        length, direction = op.sum_over(op("Abs", x), axes), op("Sign", x)
    else:
        length, direction = op("Sqrt", op.sum_over(op("Mul", x, x), axes)), y
    return op("Div", op("Sub", gradient, op("Mul", direction, along)), length)
