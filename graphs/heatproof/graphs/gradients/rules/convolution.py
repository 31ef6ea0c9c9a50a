"""Gradients of convolutions by their input.

The transpose of a convolution with stride 1 is a convolution with flipped weights, which ONNX
Runtime runs on its fastest kernels; with larger strides its ConvTranspose is the fastest way.
"""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from heatproof.graphs.gradients.broadcasting import known_sizes
from heatproof.graphs.gradients.emitter import GradientEmitter
from heatproof.graphs.gradients.table import by_input, first
from heatproof.graphs.gradients.windows import cropped, windows_of
from heatproof.graphs.nodes.roles import Role, declare_role
from heatproof.graphs.operators.windows import Window


@by_input({"Conv": (11, 22)})
def conv(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """dx[i] = sum_k w[k]^T dy[(i + p - k d) / s] over the taps k where the quotient is whole."""
    weights = node.inputs[1]
    if weights is None:
        raise op.refusal("it has no weights")
    group = node.attributes.get_int("group", 1)
    windows = windows_of(node, _kernel(weights, op), op)
    tensor = ir.convenience.get_const_tensor(weights)
    if tensor is not None and all(window.stride == 1 for window in windows):
        return _flipped_convolution(gradient, tensor.numpy(), windows, group, op)
    spread = transposed_convolution(gradient, weights, windows, group, op)
    return cut_to(first(node), spread, windows, op)


def _kernel(weights: ir.Value, op: GradientEmitter) -> tuple[int, ...]:
    kernel = tuple(size for size in known_sizes(weights, op)[2:] if size is not None)
    if len(kernel) < len(known_sizes(weights, op)[2:]):
        raise op.refusal("the size of its kernel is dynamic")
    return kernel


def transposed_convolution(
    gradient: ir.Value,
    weights: ir.Value,
    windows: Sequence[Window],
    group: int,
    op: GradientEmitter,
) -> ir.Value:
    """Spreads dy over the inputs with the weights of the forward pass [C_out, C_in / g, ...].

    Along axes of dynamic length the result may be longer than the input: see `cut_to`.
    """
    spread = op(
        "ConvTranspose",
        gradient,
        weights,
        strides=[window.stride for window in windows],
        dilations=[window.dilation for window in windows],
        pads=[*(window.begin for window in windows), *(max(0, window.end) for window in windows)],
        output_padding=[_left_over(window) for window in windows],
        group=group,
    )
    return declare_role(spread, Role.STRIDED)


def _left_over(window: Window) -> int:
    """Inputs after the last window; fewer than a stride, as the schema demands."""
    return window.stride - 1 if window.is_open else max(0, -window.end)


def cut_to(
    x: ir.Value, spread: ir.Value, windows: Sequence[Window], op: GradientEmitter
) -> ir.Value:
    """Cuts off what lies behind the end of x, where its length is known only at run time."""
    if not any(window.is_open and window.stride > 1 for window in windows):
        return spread
    last, count = op.integers(2**63 - 1), len(windows)
    ends = op("Slice", op("Shape", x), op.integers(2), last, op.integers(0))
    return op("Slice", spread, op.integers(*([0] * count)), ends, op.integers(*range(2, 2 + count)))


def _flipped_convolution(
    gradient: ir.Value,
    weights: np.ndarray,
    windows: Sequence[Window],
    group: int,
    op: GradientEmitter,
) -> ir.Value:
    begins = [window.span - window.begin for window in windows]
    ends = [window.span - window.end for window in windows]
    source = cropped(gradient, [max(0, -n) for n in begins], [max(0, -n) for n in ends], op)
    spatial = tuple(range(2, weights.ndim))
    return op(
        "Conv",
        source,
        op.constant_of_its_own(_transposed(np.flip(weights, axis=spatial), group)),
        pads=[max(0, n) for n in (*begins, *ends)],
        dilations=[window.dilation for window in windows],
        group=group,
    )


def _transposed(weights: np.ndarray, group: int) -> np.ndarray:
    """Swaps the roles of input and output channels within each group: [C_in, C_out / g, ...]."""
    outputs, inputs, *kernel = weights.shape
    grouped = weights.reshape(group, outputs // group, inputs, *kernel)
    return grouped.swapaxes(1, 2).reshape(group * inputs, outputs // group, *kernel)


@by_input({"ConvTranspose": (11, 22)})
def conv_transpose(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """A transposed convolution is the transpose of a convolution, which is its gradient."""
    weights = node.inputs[1]
    if weights is None:
        raise op.refusal("it has no weights")
    windows = windows_of(node, _kernel(weights, op), op, transposed=True)
    ends = [window.end for window in windows]
    source = cropped(gradient, [0] * len(windows), [max(0, -end) for end in ends], op)
    return op(
        "Conv",
        source,
        weights,
        strides=[window.stride for window in windows],
        dilations=[window.dilation for window in windows],
        pads=[*(window.begin for window in windows), *(max(0, end) for end in ends)],
        group=node.attributes.get_int("group", 1),
    )
