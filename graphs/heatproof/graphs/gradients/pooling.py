"""Gradients of poolings."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import onnx_ir as ir

from heatproof.graphs.gradients.broadcasting import known_sizes, shaped_as, sizes, spread_as
from heatproof.graphs.gradients.convolution import transposed_convolution
from heatproof.graphs.gradients.emitter import Emitter
from heatproof.graphs.gradients.table import GRADIENTS, Gradients, by_input, first
from heatproof.graphs.gradients.windows import Window, windows_of


def _kernel(node: ir.Node, op: Emitter) -> Sequence[int]:
    kernel = node.attributes.get_ints("kernel_shape")
    if kernel is None:
        raise op.refusal("it has no kernel_shape")
    return kernel


@by_input({"AveragePool": (1, 7, 10, 11, 19, 22)})
def average_pool(node: ir.Node, gradient: ir.Value, op: Emitter) -> ir.Value:
    """Sums dy / n over the windows an input is in; each window averages n elements."""
    windows = windows_of(node, _kernel(node, op), op)
    channels = known_sizes(first(node), op)[1]
    if channels is None:
        raise op.refusal("its number of channels is dynamic")
    counts = _counts(node, windows)
    if (counts == counts.flat[0]).all():
        weight, shared = 1 / float(counts.flat[0]), gradient
    else:
        weight, shared = 1.0, op("Mul", gradient, op.constant((1 / counts).astype(op.dtype)))
    kernel = np.full((channels, 1, *(window.kernel for window in windows)), weight, op.dtype)
    return transposed_convolution(shared, op.constant(kernel), windows, channels, op)


def _counts(node: ir.Node, windows: Sequence[Window]) -> np.ndarray:
    """Elements that each output averages; padding counts where the node says so."""
    padded = bool(node.attributes.get_int("count_include_pad", 0))
    pads = node.attributes.get_ints("pads") or ()
    counts = np.ones(())
    for axis, window in enumerate(windows):
        after = pads[len(windows) + axis] if pads else max(0, window.end)
        first_counted = -window.begin if padded else 0
        end_counted = window.inputs + (after if padded else 0)
        starts = np.arange(window.outputs) * window.stride - window.begin
        taps = starts[:, None] + np.arange(window.kernel) * window.dilation
        along = ((taps >= first_counted) & (taps < end_counted)).sum(axis=1)
        counts = counts[..., None] * along
    return counts


@GRADIENTS.family({"MaxPool": (8, 10, 11, 12, 22)})
def max_pool(node: ir.Node, gradients: Gradients, op: Emitter) -> Gradients:
    """Sends dy to the first maximum of its window, as in torch.

    A second MaxPool tells where the maxima are. Its copy of the output is not used: the model's own
    node keeps its fast kernel and its bits.
    """
    x, gradient = first(node), gradients[0]
    if gradient is None or bool(node.attributes.get_int("storage_order", 0)):
        raise op.refusal("its indices are differentiated or stored by columns")
    windows = windows_of(node, _kernel(node, op), op)
    _, places = op.several("MaxPool", x, outputs=2, **_pooling_attributes(node))
    overlap = any(window.stride <= window.reach for window in windows)
    if overlap and op.opset < 16:  # ScatterElements adds up from opset 16
        return [_spread_by_taps(x, gradient, (places, windows), op)]
    elements = op("Reshape", op("Size", x), op.ints([1]))
    flat = (op("Reshape", value, op.ints([-1])) for value in (places, gradient))
    adding = {"reduction": "add"} if overlap else {}
    zeros = op("Expand", 0.0, elements)
    return [shaped_as(x, op("ScatterElements", zeros, *flat, axis=0, **adding), op)]


def _spread_by_taps(
    x: ir.Value, gradient: ir.Value, source: tuple[ir.Value, Sequence[Window]], op: Emitter
) -> ir.Value:
    """Spreads dy over the taps of each window: all of it to the one at the maximum."""
    places, windows = source
    elements = int(np.prod([window.inputs for window in windows]))
    in_plane = op("Mod", places, op.constant(np.array(elements, np.int64)))
    taps = _tap_positions(windows)
    chosen = op("Equal", op.over("Unsqueeze", in_plane, [2]), op.constant(taps))
    spread = op("Where", chosen, op.over("Unsqueeze", gradient, [2]), 0.0)
    merged = op("Reshape", spread, op.ints([-1, *taps.shape]))
    one_hot = np.eye(taps.shape[0], dtype=op.dtype)
    weights = op.constant(one_hot.reshape(-1, 1, *(window.kernel for window in windows)))
    return shaped_as(x, transposed_convolution(merged, weights, windows, 1, op), op)


def _pooling_attributes(node: ir.Node) -> dict[str, int | str | Sequence[int]]:
    found: dict[str, int | str | Sequence[int]] = {}
    for name, attribute in node.attributes.items():
        if attribute.type == ir.AttributeType.INTS:
            found[name] = attribute.as_ints()
        elif attribute.type == ir.AttributeType.INT:
            found[name] = attribute.as_int()
        elif attribute.type == ir.AttributeType.STRING:
            found[name] = attribute.as_string()
    return found


def _tap_positions(windows: Sequence[Window]) -> np.ndarray:
    """For each tap and output the position it reads within the plane, -1 for padding."""
    planes = []
    for tap in product(*(range(window.kernel) for window in windows)):
        position = np.zeros((), np.int64)
        inside = np.ones((), bool)
        for window, k in zip(windows, tap, strict=True):
            read = np.arange(window.outputs) * window.stride - window.begin + k * window.dilation
            position = position[..., None] * window.inputs + read
            inside = inside[..., None] & (read >= 0) & (read < window.inputs)
        planes.append(np.where(inside, position, -1))
    return np.stack(planes)


@by_input({"GlobalAveragePool": (1, 22)})
def global_average_pool(node: ir.Node, gradient: ir.Value, op: Emitter) -> ir.Value:
    """Gives dx = dy / (height * width)."""
    x = first(node)
    spatial = known_sizes(x, op)[2:]
    static = [size for size in spatial if size is not None]
    if len(static) == len(spatial):
        return spread_as(x, op("Mul", gradient, 1 / int(np.prod(static))), op)
    elements = op("Div", op("Size", x), op("Size", gradient))
    return spread_as(x, op("Div", gradient, op("Cast", elements, to=int(ir.DataType.FLOAT))), op)


@by_input({"GlobalMaxPool": (1, 22)})
def global_max_pool(node: ir.Node, gradient: ir.Value, op: Emitter) -> ir.Value:
    """Sends dy to the first maximum of each channel."""
    x = first(node)
    spatial = sizes(x)
    if spatial is None or None in spatial[2:]:
        raise op.refusal("the spatial size of its input is dynamic")
    elements = int(np.prod([size or 0 for size in spatial[2:]]))
    flat = op("Reshape", x, op.ints([0, 0, elements]))
    place = op("ArgMax", flat, axis=2, keepdims=1)
    chosen = op("Equal", place, op.constant(np.arange(elements)))
    return shaped_as(x, op.mask(chosen, op("Reshape", gradient, op.ints([0, 0, 1]))), op)
