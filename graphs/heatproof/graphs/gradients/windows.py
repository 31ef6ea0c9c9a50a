"""The windows of a convolution or a pooling, as far as its gradient knows their geometry."""

from collections.abc import Sequence
from dataclasses import replace

import onnx_ir as ir

from heatproof.graphs.gradients.broadcasting import known_sizes
from heatproof.graphs.gradients.emitter import GradientEmitter
from heatproof.graphs.operators.windows import Window, begin_of


def windows_of(
    node: ir.Node, kernel: Sequence[int], op: GradientEmitter, *, transposed: bool = False
) -> tuple[Window, ...]:
    """The windows of a convolution or a pooling, one per spatial axis.

    A transposed convolution reads as the convolution from its output to its input.
    """
    source, output = node.inputs[0], node.outputs[0]
    if source is None:
        raise op.refusal("it has no input")
    if transposed:
        source, output = output, source
    inputs, outputs = known_sizes(source, op)[2:], known_sizes(output, op)[2:]
    ones = [1] * len(kernel)
    strides = node.attributes.get_ints("strides") or ones
    dilations = node.attributes.get_ints("dilations") or ones
    axes = zip(kernel, strides, dilations, inputs, outputs, strict=True)
    unpadded = [Window(taps, step, gap, 0, 0, old, new) for taps, step, gap, old, new in axes]
    windows = [
        replace(window, begin=begin, after=after)
        for window, (begin, after) in zip(unpadded, _paddings(node, unpadded, op), strict=True)
    ]
    if node.attributes.get_int("ceil_mode", 0):
        return tuple(replace(window, outputs=_starting(window)) for window in windows)
    return tuple(windows)


def _starting(window: Window) -> int | None:
    """Windows that start before the input ends.

    In ceil mode runtimes have no others; ONNX's inference of shapes adds one before opset 22.
    """
    if window.inputs is None or window.outputs is None:
        return None
    return min(window.outputs, -(-(window.inputs + window.begin) // window.stride))


def _paddings(
    node: ir.Node, windows: Sequence[Window], op: GradientEmitter
) -> list[tuple[int, int]]:
    """Padding at both ends of each axis; SAME centres it, and an odd rest goes where it says."""
    auto_pad = node.attributes.get_string("auto_pad", "NOTSET")
    if auto_pad == "NOTSET" and node.attributes.get_ints("output_shape") is None:
        pads = list(node.attributes.get_ints("pads") or [0] * 2 * len(windows))
        return list(zip(pads[: len(windows)], pads[len(windows) :], strict=True))
    if auto_pad == "VALID":
        return [(0, 0)] * len(windows)
    totals = [_same_padding(window, op) for window in windows]
    begins = [begin_of(total, auto_pad) for total in totals]
    return [(begin, total - begin) for begin, total in zip(begins, totals, strict=True)]


def _same_padding(window: Window, op: GradientEmitter) -> int:
    if not window.is_open:
        return max(0, window.end)
    if window.stride > 1:
        raise op.refusal("its automatic padding depends on a dynamic size; fix it in the export")
    return window.span


def cropped(
    x: ir.Value, begins: Sequence[int], ends: Sequence[int], op: GradientEmitter
) -> ir.Value:
    """Cuts positions off both ends of the last axes."""
    if not any((*begins, *ends)):
        return x
    last = 2**63 - 1
    stops = [-end if end else last for end in ends]
    return op.sliced(x, begins, stops, range(-len(begins), 0))
