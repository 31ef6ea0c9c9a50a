"""Geometry of sliding windows: which inputs the outputs of a convolution or a pooling read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import onnx_ir as ir

from heatproof.graphs.gradients.broadcasting import spatial_sizes
from heatproof.graphs.gradients.emitter import Emitter


@dataclass(frozen=True, slots=True)
class Window:
    """A window that slides along one axis.

    Output o reads the inputs o * stride + tap * dilation - begin, over the taps.

    Attributes:
        kernel: number of taps.
        stride: step between outputs.
        dilation: step between taps.
        begin: padding before the first input.
        inputs: length of the input.
        outputs: length of the output.
    """

    kernel: int
    stride: int
    dilation: int
    begin: int
    inputs: int
    outputs: int

    @property
    def reach(self) -> int:
        """Distance from the first to the last tap."""
        return (self.kernel - 1) * self.dilation

    @property
    def end(self) -> int:
        """Padding after the last input that is read; negative where inputs are left over."""
        return (self.outputs - 1) * self.stride + self.reach + 1 - self.begin - self.inputs


def windows_of(
    node: ir.Node, kernel: Sequence[int], op: Emitter, *, transposed: bool = False
) -> tuple[Window, ...]:
    """The windows of a convolution or a pooling, one per spatial axis.

    A transposed convolution reads as the convolution from its output to its input.
    """
    source, output = node.inputs[0], node.outputs[0]
    if source is None:
        raise op.refusal("it has no input")
    if node.attributes.get_int("ceil_mode", 0):  # preparation resolves it where a pool can say it
        raise op.refusal("its windows reach a whole kernel beyond the input; use ceil_mode=False")
    if transposed:
        source, output = output, source
    inputs, outputs = spatial_sizes(source, op), spatial_sizes(output, op)
    ones = [1] * len(kernel)
    strides = node.attributes.get_ints("strides") or ones
    dilations = node.attributes.get_ints("dilations") or ones
    axes = zip(kernel, strides, dilations, inputs, outputs, strict=True)
    unpadded = [Window(taps, step, gap, 0, old, new) for taps, step, gap, old, new in axes]
    padded = [
        replace(window, begin=begin)
        for window, begin in zip(unpadded, _begins(node, unpadded), strict=True)
    ]
    return tuple(padded)


def _begins(node: ir.Node, windows: Sequence[Window]) -> Sequence[int]:
    """Padding before each axis; `auto_pad` SAME centres it, an odd rest goes where it says."""
    auto_pad = node.attributes.get_string("auto_pad", "NOTSET")
    if auto_pad == "NOTSET" and node.attributes.get_ints("output_shape") is None:
        pads = node.attributes.get_ints("pads") or [0] * 2 * len(windows)
        return list(pads)[: len(windows)]
    if auto_pad == "VALID":
        return [0] * len(windows)
    totals = [max(0, window.end) for window in windows]
    return [total // 2 if auto_pad == "SAME_UPPER" else total - total // 2 for total in totals]


def cropped(x: ir.Value, begins: Sequence[int], ends: Sequence[int], op: Emitter) -> ir.Value:
    """Cuts positions off both ends of the last axes."""
    if not any((*begins, *ends)):
        return x
    last = 2**63 - 1
    stops = [-end if end else last for end in ends]
    return op.sliced(x, begins, stops, range(-len(begins), 0))
