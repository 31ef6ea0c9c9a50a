"""Pools that round their size up, as pools with explicit padding that round down.

ONNX's shape inference before opset 22 counts windows that lie in the padding, which no runtime
computes; the sizes of all later tensors are then wrong.
"""

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from heatproof.graphs.nodes.constants import constant


@dataclass(frozen=True, slots=True)
class _Axis:
    """One axis of a pool with ceil_mode: its window and padding, as the model gives them."""

    size: int
    kernel: int
    stride: int
    dilation: int
    begin: int
    end: int

    @property
    def span(self) -> int:
        """Places from the first to the last that a window reads."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def windows(self) -> int:
        """Number of windows; none starts behind the input and the padding before it."""
        room = self.size + self.begin + self.end - self.span
        count = -(-room // self.stride) + 1
        return count - 1 if (count - 1) * self.stride >= self.size + self.begin else count

    @property
    def reach(self) -> int:
        """Padding after the input that the last window reads."""
        last = (self.windows - 1) * self.stride + self.span
        return max(last - self.begin - self.size, 0)

    def counts(self) -> NDArray[np.int64]:
        """Places of each window within the input and the padding that the model gives."""
        starts = np.arange(self.windows) * self.stride - self.begin
        taps = starts[:, None] + self.dilation * np.arange(self.kernel)
        counted: NDArray[np.int64] = (taps < self.size + self.end).sum(axis=1)
        return counted


def round_down(node: ir.Node) -> bool:
    """Replaces ceil_mode by the padding that it stands for, in place, where sizes are known.

    1. Padding that reaches the kernel's size, which runtimes refuse, stays implicit.
    2. An average that counts padding does not count what ceil_mode adds: without any of the
       model's own it counts none, else the counts are made good by a factor.

    Returns whether the node changed.
    """
    if node.attributes.get_string("auto_pad", "NOTSET").startswith("SAME"):
        return node.attributes.pop("ceil_mode", None) is not None  # its windows fit exactly
    axes = _axes(node)
    if not axes or any(axis.reach >= axis.kernel for axis in axes):
        return False
    adds = any(axis.reach > axis.end for axis in axes)
    if node.attributes.get_int("count_include_pad", 0) and adds:
        if any(axis.begin or axis.end for axis in axes):
            _make_good(node, axes)
        else:
            node.attributes["count_include_pad"] = ir.AttrInt64("count_include_pad", 0)
    pads = [*(axis.begin for axis in axes), *(axis.reach for axis in axes)]
    node.attributes["pads"] = ir.AttrInt64s("pads", pads)
    node.attributes["ceil_mode"] = ir.AttrInt64("ceil_mode", 0)
    node.attributes.pop("auto_pad", None)
    shape = None if node.inputs[0] is None else node.inputs[0].shape
    if shape is not None:
        sizes = [*shape[:2], *(axis.windows for axis in axes)]
        for value in node.outputs:
            value.shape = ir.Shape(sizes)
    return True


def _axes(node: ir.Node) -> list[_Axis]:
    """The spatial axes of a pool with ceil_mode; none if it has no such or sizes are not known."""
    attributes, x = node.attributes, node.inputs[0]
    kernel = list(attributes.get_ints("kernel_shape", ()))
    if not attributes.get_int("ceil_mode", 0) or x is None or x.shape is None:
        return []
    rank = len(kernel)
    sizes = [size for size in x.shape[2:] if isinstance(size, int)]
    ones, none = [1] * rank, [0] * 2 * rank
    valid = attributes.get_string("auto_pad", "NOTSET") == "VALID"
    pads = none if valid else list(attributes.get_ints("pads", none))
    if len(sizes) != rank or x.shape.rank() != rank + 2:
        return []
    columns = (sizes, kernel, attributes.get_ints("strides", ones))
    dilations = attributes.get_ints("dilations", ones)
    rows = zip(*columns, dilations, pads[:rank], pads[rank:], strict=True)
    return [_Axis(*row) for row in rows]


def _make_good(node: ir.Node, axes: list[_Axis]) -> None:
    """Gives y = avg * kernel / n, where avg is over the whole kernel and n of its places count."""
    graph, output = node.graph, node.outputs[0]
    if not isinstance(graph, ir.Graph) or output.dtype is None:
        return
    counts = np.ones([axis.windows for axis in axes])
    for along, axis in enumerate(axes):
        view = [1] * len(axes)
        view[along] = -1
        counts *= axis.counts().reshape(view) / axis.kernel
    factor = constant(f"{node.name}/counts", (1 / counts)[None, None].astype(output.dtype.numpy()))
    graph.register_initializer(factor)
    scaled = ir.node("Mul", [None, factor], name=f"{node.name}/make_good")
    (result,) = scaled.outputs
    ir.convenience.replace_all_uses_with(output, result, replace_graph_outputs=True)
    scaled.replace_input_with(0, output)
    graph.insert_after(node, scaled)
    result.name, output.name = output.name, f"{output.name}/whole"
    result.type = output.type
