"""Gradients of poolings."""

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
import onnx_ir as ir

from heatproof.graphs.gradients.broadcasting import (
    known_sizes,
    reciprocal_ratio,
    shaped_as,
    spread_as,
)
from heatproof.graphs.gradients.emitter import GradientEmitter
from heatproof.graphs.gradients.rules.convolution import cut_to, transposed_convolution
from heatproof.graphs.gradients.rules.shapes import put
from heatproof.graphs.gradients.table import GRADIENTS, Gradients, by_input, first
from heatproof.graphs.gradients.windows import windows_of
from heatproof.graphs.nodes.roles import Role, declare_role
from heatproof.graphs.operators.emitter import Attributes, attributes_of
from heatproof.graphs.operators.windows import Window

_MOST_WEIGHTS = 1 << 26
"""Numbers that the kernel of a gradient may hold."""


def _kernel(node: ir.Node, op: GradientEmitter) -> Sequence[int]:
    kernel = node.attributes.get_ints("kernel_shape")
    if kernel is None:
        raise op.refusal("it has no kernel_shape")
    return kernel


@by_input({"AveragePool": (11, 19, 22)})
def average_pool(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Sums dy / n over the windows an input is in; each window averages n elements."""
    windows = windows_of(node, _kernel(node, op), op)
    channels = known_sizes(first(node), op)[1]
    if channels is None:
        raise op.refusal("its number of channels is dynamic")
    shared, weight = _shared(node, gradient, windows, op)
    kernel = _uniform(weight, channels, windows, op)
    spread = transposed_convolution(shared, kernel, windows, channels, op)
    return cut_to(first(node), spread, windows, op)


def _uniform(
    weight: float, channels: int, windows: Sequence[Window], op: GradientEmitter
) -> ir.Value:
    """A kernel [channels, 1, window] of one number."""
    shape = (channels, 1, *(window.kernel for window in windows))
    if math.prod(shape) > _MOST_WEIGHTS:
        raise op.refusal(f"its windows have {math.prod(shape)} cells over all channels")
    return op.constant(np.full(shape, weight, op.dtype))


def _shared(
    node: ir.Node, gradient: ir.Value, windows: Sequence[Window], op: GradientEmitter
) -> tuple[ir.Value, float]:
    """Two factors of dy / n: a number if all windows average equally many elements."""
    if any(window.is_open for window in windows):
        return _shared_at_run_time(node, gradient, windows, op)
    counts = _counts(node, windows)
    if (counts == counts.flat[0]).all():
        return gradient, 1 / float(counts.flat[0])
    return op("Mul", gradient, op.constant((1 / counts).astype(op.dtype))), 1.0


def _shared_at_run_time(
    node: ir.Node, gradient: ir.Value, windows: Sequence[Window], op: GradientEmitter
) -> tuple[ir.Value, float]:
    """Counts elements of windows over maps of dynamic size by a convolution of ones with ones."""
    kernel = [window.kernel for window in windows]
    if node.attributes.get_int("ceil_mode", 0):
        raise op.refusal("ceil_mode with a dynamic spatial size; fix the size in the export")
    padded = any(window.begin or window.after for window in windows)
    if not padded or node.attributes.get_int("count_include_pad", 0) == 1:
        return gradient, 1 / math.prod(kernel)
    ones = op("Expand", 1.0, op("Concat", op.integers(1, 1), _extent(first(node), op), axis=0))
    counts = op(
        "Conv",
        ones,
        op.constant(np.ones((1, 1, *kernel), op.dtype)),
        strides=[window.stride for window in windows],
        dilations=[window.dilation for window in windows],
        pads=[*(window.begin for window in windows), *(window.after for window in windows)],
    )
    return op("Div", gradient, counts), 1.0


def _extent(x: ir.Value, op: GradientEmitter) -> ir.Value:
    """Sizes of the axes after batch and channels, found when the graph runs."""
    return op("Slice", op("Shape", x), op.integers(2), op.integers(2**63 - 1), op.integers(0))


def _counts(node: ir.Node, windows: Sequence[Window]) -> np.ndarray:
    """Elements that each output averages; padding counts where the node says so."""
    padded = bool(node.attributes.get_int("count_include_pad", 0))
    counts = np.ones(())
    for window in windows:
        first_counted = -window.begin if padded else 0
        end_counted = (window.inputs or 0) + (window.after if padded else 0)
        starts = np.arange(window.outputs or 0) * window.stride - window.begin
        taps = starts[:, None] + np.arange(window.kernel) * window.dilation
        along = ((taps >= first_counted) & (taps < end_counted)).sum(axis=1)
        counts = counts[..., None] * along
    return counts


@GRADIENTS.family({"MaxPool": (11, 12, 22)})
def max_pool(node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:
    """Sends dy to the first maximum of its window, as in torch.

    A second MaxPool tells where the maxima are. Its copy of the output is not used: the model's own
    node keeps its fast kernel and its bits.
    """
    x, gradient = first(node), gradients[0]
    if gradient is None:
        raise op.refusal("its indices are differentiated")
    windows = windows_of(node, _kernel(node, op), op)
    _, places = op.several("MaxPool", x, outputs=2, **_pooling_attributes(node))
    overlap = any(window.stride <= window.span for window in windows)
    if overlap and op.opset < 16:  # ScatterElements adds up from opset 16
        if any(window.is_open for window in windows):
            raise op.refusal("overlapping windows over a dynamic size need opset 16 or later")
        return [_spread_by_taps(x, gradient, (places, windows), op)]
    elements = op("Reshape", op("Size", x), op.integers(1))
    flat = (op("Reshape", places, op.integers(-1)), op("Reshape", gradient, op.integers(-1)))
    adding = {"reduction": "add"} if overlap else {}
    return [shaped_as(x, put(elements, flat, op, axis=0, **adding), op)]


def _spread_by_taps(
    x: ir.Value, gradient: ir.Value, source: tuple[ir.Value, Sequence[Window]], op: GradientEmitter
) -> ir.Value:
    """Spreads dy over the taps of each window: all of it to the one at the maximum."""
    places, windows = source
    elements = math.prod(window.inputs or 0 for window in windows)
    in_plane = op("Mod", places, op.constant(np.array(elements, np.int64)))
    taps = _tap_positions(windows)
    chosen = op("Equal", op.over("Unsqueeze", in_plane, [2]), op.constant(taps))
    spread = op("Where", chosen, op.over("Unsqueeze", gradient, [2]), 0.0)
    merged = op("Reshape", spread, op.integers(-1, *taps.shape))
    one_hot = np.eye(taps.shape[0], dtype=op.dtype)
    weights = op.constant(one_hot.reshape(-1, 1, *(window.kernel for window in windows)))
    return shaped_as(x, transposed_convolution(merged, weights, windows, 1, op), op)


def _pooling_attributes(node: ir.Node) -> Attributes:
    """All but the order in which the places are counted, which is by rows here."""
    found = attributes_of(node)
    found.pop("storage_order", None)
    return found


def _tap_positions(windows: Sequence[Window]) -> np.ndarray:
    """For each tap and output the position it reads within the plane, -1 for padding."""
    planes = []
    for tap in product(*(range(window.kernel) for window in windows)):
        position = np.zeros((), np.int64)
        inside = np.ones((), bool)
        for window, k in zip(windows, tap, strict=True):
            read = (
                np.arange(window.outputs or 0) * window.stride - window.begin + k * window.dilation
            )
            length = window.inputs or 0
            position = position[..., None] * length + read
            inside = inside[..., None] & (read >= 0) & (read < length)
        planes.append(np.where(inside, position, -1))
    return np.stack(planes)


@by_input({"GlobalAveragePool": (1, 22)})
def global_average_pool(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Gives dx = dy / (height * width)."""
    x = first(node)
    spatial = known_sizes(x, op)[2:]
    static = [size for size in spatial if size is not None]
    if len(static) == len(spatial):
        shared = op("Mul", gradient, 1 / int(np.prod(static)))
        return declare_role(spread_as(x, shared, op), Role.SPREADING)
    return spread_as(x, op("Mul", gradient, reciprocal_ratio(x, gradient, op)), op)


@by_input({"GlobalMaxPool": (1, 22)})
def global_max_pool(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Sends dy to the first maximum of each channel."""
    x = first(node)
    flat = op("Reshape", x, op.integers(0, 0, -1))
    place = op("ArgMax", flat, axis=2, keepdims=1)
    chosen = op("Equal", place, _positions(flat, known_sizes(x, op)[2:], op))
    return shaped_as(x, op.mask(chosen, op("Reshape", gradient, op.integers(0, 0, 1))), op)


def _positions(flat: ir.Value, spatial: Sequence[int | None], op: GradientEmitter) -> ir.Value:
    """0, 1, 2, ... over the cells of a map."""
    static = [size for size in spatial if size is not None]
    if len(static) == len(spatial):
        return op.constant(np.arange(math.prod(static)))
    zero, one, two = (op.constant(np.array(n, np.int64)) for n in range(3))
    return op("Range", zero, op("Gather", op("Shape", flat), two, axis=0), one)


@by_input({"LpPool": (11, 18, 22)})
def lp_pool(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """For y = (sum |x|^p)^(1/p): dx = sign(x) |x|^(p - 1) sum(dy y^(1 - p)) over the windows."""
    x, p = first(node), node.attributes.get_int("p", 2)
    windows = windows_of(node, _kernel(node, op), op)
    channels = known_sizes(x, op)[1]
    if channels is None:
        raise op.refusal("its number of channels is dynamic")
    ones = _uniform(1, channels, windows, op)
    scaled = _over_norm(node.outputs[0], gradient, p, op)
    spread = transposed_convolution(scaled, ones, windows, channels, op)
    return op("Mul", _slope(x, p, op), cut_to(x, spread, windows, op))


@by_input({"GlobalLpPool": (2, 22)})
def global_lp_pool(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """For y = (sum |x|^p)^(1/p): dx = sign(x) |x|^(p - 1) dy y^(1 - p)."""
    x, p = first(node), node.attributes.get_int("p", 2)
    return op("Mul", _slope(x, p, op), _over_norm(node.outputs[0], gradient, p, op))


def _slope(x: ir.Value, p: int, op: GradientEmitter) -> ir.Value:
    """Gives sign(x) |x|^(p - 1)."""
    if p == 2:  # the usual norm
        return x
    return op("Sign", x) if p == 1 else op("Mul", op("Sign", x), op("Pow", op("Abs", x), p - 1.0))


def _over_norm(norm: ir.Value, gradient: ir.Value, p: int, op: GradientEmitter) -> ir.Value:
    """Gives dy y^(1 - p), zero where y = 0."""
    positive = op("Greater", norm, 0.0)
    return op.mask(
        positive, op("Mul", gradient, op("Pow", op("Where", positive, norm, 1.0), 1.0 - p))
    )
