"""Geometry of sliding windows: which inputs the outputs of a convolution or a pool read."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

Pair = tuple[int, int]

Incidence = NDArray[np.bool_]
"""[outputs, inputs]: whether the window of an output row (or column) holds an input one."""


@dataclass(frozen=True, slots=True)
class Window:
    """A window that slides along one axis.

    Output o reads the inputs o * stride + tap * dilation - begin, over the taps.

    Attributes:
        kernel: number of taps.
        stride: step between outputs.
        dilation: step between taps.
        begin: padding before the first input.
        after: padding behind the last input, as declared.
        inputs: length of the input, or None where dynamic.
        outputs: length of the output, or None where dynamic.
    """

    kernel: int
    stride: int
    dilation: int
    begin: int
    after: int
    inputs: int | None
    outputs: int | None

    @property
    def span(self) -> int:
        """Distance from the first to the last tap."""
        return (self.kernel - 1) * self.dilation

    @property
    def is_open(self) -> bool:
        """Whether the lengths are known only when the graph runs."""
        return self.inputs is None or self.outputs is None

    @property
    def end(self) -> int:
        """Padding after the last input that is read; negative where inputs are left over.

        Of dynamic lengths the padding as declared: fewer inputs than a stride may be left over.
        """
        if self.inputs is None or self.outputs is None:
            return self.after
        return (self.outputs - 1) * self.stride + self.span + 1 - self.begin - self.inputs

    def incidence(self) -> Incidence:
        """Which inputs each output reads; the lengths are known."""
        first = np.arange(self.outputs or 0) * self.stride - self.begin
        offsets = np.arange(self.inputs or 0) - first[:, None]
        steps, rests = np.divmod(offsets, self.dilation)
        held: Incidence = (rests == 0) & (steps >= 0) & (steps < self.kernel)
        return held


def begin_of(total: int, mode: str) -> int:
    """Padding in front, of a total that is centred; SAME_LOWER has an odd rest there."""
    return total // 2 if mode == "SAME_UPPER" else total - total // 2


@dataclass(frozen=True, slots=True)
class PlaneWindow:
    """A window over the rows and columns of an image of fixed size, every convention resolved.

    Attributes:
        kernel: cells that the window reads, height and width.
        strides: steps between neighbouring windows.
        dilations: steps between neighbouring cells of a window.
        begins: rows and columns of padding before the image.
        source: height and width of the image.
        target: height and width of the result.
    """

    kernel: Pair
    strides: Pair
    dilations: Pair
    begins: Pair
    source: Pair
    target: Pair

    def along(self, axis: int) -> Window:
        """The window along the rows (0) or the columns (1)."""
        return Window(
            self.kernel[axis],
            self.strides[axis],
            self.dilations[axis],
            begin=self.begins[axis],
            after=0,
            inputs=self.source[axis],
            outputs=self.target[axis],
        )

    @property
    def ends(self) -> Pair:
        """Rows and columns of padding that the last windows reach behind the image."""
        return _pair(max(self.along(axis).end, 0) for axis in (0, 1))

    @property
    def spans(self) -> Pair:
        """Rows and columns from the first to the last cell of a window."""
        return _pair(self.along(axis).span + 1 for axis in (0, 1))

    @property
    def pads(self) -> list[int]:
        """Padding in the order of ONNX: top, left, bottom, right."""
        return [*self.begins, *self.ends]

    @property
    def keeps_cells(self) -> bool:
        """Whether every window is the cell at its own place."""
        return self.kernel == (1, 1) and self.strides == (1, 1) and self.source == self.target

    @property
    def whole_axes(self) -> tuple[int, ...]:
        """The axes (0 rows, 1 columns) that each window holds entirely, if it holds nothing else.

        Both where there is one window and it is the image.
        """
        whole = tuple(axis for axis in (0, 1) if self.kernel[axis] == self.source[axis])
        others = (axis for axis in (0, 1) if axis not in whole)
        keeps = all(
            self.kernel[axis] == self.strides[axis] == 1 and self.source[axis] == self.target[axis]
            for axis in others
        )
        single = all(self.target[axis] == 1 for axis in whole)
        if self.keeps_cells and self.source != (1, 1):
            return ()
        return whole if keeps and single and not any(self.pads) else ()

    @property
    def has_wide_padding(self) -> bool:
        """Whether padding reaches the kernel's size, which ONNX Runtime's pools refuse."""
        return any(pad >= size for pad, size in zip(self.pads, self.kernel * 2, strict=True))

    def incidence(self, axis: int) -> Incidence:
        """Which cells of the image each window holds, along one axis (0 rows, 1 columns)."""
        return self.along(axis).incidence()

    def counts(self) -> NDArray[np.int64]:
        """Number of image cells in each window, [height, width]."""
        rows, columns = (self.incidence(axis).sum(axis=1) for axis in (0, 1))
        return np.outer(rows, columns)


def window_of(node: ir.Node, source: Pair, kernel: Pair) -> PlaneWindow:
    """Resolves strides, dilations, automatic padding and the rounding of a node's result size."""
    ints = node.attributes.get_ints
    strides = _pair(ints("strides", (1, 1)))
    dilations = _pair(ints("dilations", (1, 1)))
    spans = _pair(dilations[i] * (kernel[i] - 1) + 1 for i in (0, 1))
    mode = node.attributes.get_string("auto_pad", "NOTSET")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        target = _pair(-(-source[i] // strides[i]) for i in (0, 1))
        totals = [max((target[i] - 1) * strides[i] + spans[i] - source[i], 0) for i in (0, 1)]
        begins = _pair(begin_of(total, mode) for total in totals)
        return PlaneWindow(kernel, strides, dilations, begins, source, target)
    pads = (0, 0, 0, 0) if mode == "VALID" else tuple(ints("pads", (0, 0, 0, 0)))
    rounds_up = bool(node.attributes.get_int("ceil_mode", 0))
    target = _pair(
        _steps(
            source[i] + pads[i] + pads[i + 2] - spans[i],
            strides[i],
            source[i] + pads[i],
            rounds_up=rounds_up,
        )
        for i in (0, 1)
    )
    return PlaneWindow(kernel, strides, dilations, _pair(pads[:2]), source, target)


def transposed_lines(node: ir.Node, axis: int, source: int, kernel: int) -> Incidence:
    """Which cells each cell of a transposed convolution reads, along rows (0) or columns (1)."""
    stride, dilation, added = (
        list(node.attributes.get_ints(name, (default, default)))[axis]
        for name, default in (("strides", 1), ("dilations", 1), ("output_padding", 0))
    )
    length = stride * (source - 1) + dilation * (kernel - 1) + 1 + added  # before any cropping
    begin, target = _cropping(node, axis, length, stride * source)
    # Cell i of the source adds to the cells i * stride + k * dilation, k < kernel.
    offsets = np.arange(target)[:, None] + begin - np.arange(source) * stride
    steps = offsets // dilation
    held: Incidence = (offsets % dilation == 0) & (steps >= 0) & (steps < kernel)
    return held


def _cropping(node: ir.Node, axis: int, length: int, same: int) -> Pair:
    """Cells that a transposed convolution crops in front, and those that it keeps."""
    mode = node.attributes.get_string("auto_pad", "NOTSET")
    shape = list(node.attributes.get_ints("output_shape", ()))
    if shape or mode in ("SAME_UPPER", "SAME_LOWER"):
        target = shape[axis - 2] if shape else same
        cropped = max(length - target, 0)
        return cropped // 2 if mode == "SAME_UPPER" else cropped - cropped // 2, target
    pads = [0] * 4 if mode == "VALID" else list(node.attributes.get_ints("pads", [0] * 4))
    return pads[axis], length - pads[axis] - pads[axis + 2]


def _steps(room: int, stride: int, limit: int, *, rounds_up: bool) -> int:
    """Number of windows; with ceil_mode none may start behind the image and its first padding."""
    if not rounds_up:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= limit else count


def _pair(values: Iterable[int]) -> Pair:
    first, second = values
    return first, second
