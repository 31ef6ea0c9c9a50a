"""Computes gradients of depthwise convolutions of stride 2 phase by phase.

They are transposed convolutions, for which ONNX Runtime has no fast kernel. The cells of the
result of one row and column parity, a phase, are a depthwise convolution of stride 1 by the taps
that meet them, and for that there is one. What follows cell by cell is computed on the four phases
apart, with other maps split alike, up to the 1 x 1 convolution that leaves few channels; only
these are put together again:

    E(g(T(x), y))  =  interleaved over p of E(g(T_p(x), y_p))

y_p is a depthwise convolution of stride 2 that picks the cells of a phase. Numbers stay the same
but for the order of sums.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx_ir as ir

from heatproof.graphs.lowering.replacement import replace
from heatproof.graphs.nodes.constants import number
from heatproof.graphs.nodes.roles import Role, role_of
from heatproof.graphs.nodes.shapes import channels_of, size_of_map
from heatproof.graphs.operators.emitter import Emitter, attributes_of
from heatproof.graphs.operators.traits import Trait, has

_PHASES: Final = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Parities of row and column."""


def split_phases(model: ir.Model) -> None:
    """Rewrites transposed depthwise convolutions of stride 2 and what follows them, in place."""
    graph = model.graph
    op: Emitter | None = None
    for node in tuple(graph):
        stretch = _stretch_from(node) if role_of(node) is Role.STRIDED else None
        if stretch is not None:
            op = op or Emitter(graph)
            op.before(stretch.end)
            replace(graph, stretch.end, _Splitting(stretch, op).result())
            graph.remove(stretch.nodes[::-1], safe=True)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """From a transposed convolution to the 1 x 1 convolution that reads its cells one by one.

    Attributes:
        nodes: the transposed convolution and the elementwise nodes, in order.
        end: the 1 x 1 convolution.
        weights: kernel of the transposed convolution, [C, 1, height, width].
        cells: rows and columns of its result.
        taps: for rows and for columns, those of either parity.
    """

    nodes: tuple[ir.Node, ...]
    end: ir.Node
    weights: np.ndarray
    cells: tuple[int, int]
    taps: tuple[tuple["_Taps", ...], ...]

    @property
    def start(self) -> ir.Node:
        """The transposed convolution."""
        return self.nodes[0]


def _stretch_from(node: ir.Node) -> _Stretch | None:
    weights = _depthwise_kernel(node)
    before = None if node.inputs[0] is None else size_of_map(node.inputs[0])
    cells = size_of_map(node.outputs[0])
    if weights is None or before is None or cells is None or any(size % 2 for size in cells):
        return None
    taps = tuple(
        tuple(_Taps.of(node, axis, parity, weights.shape, (before, cells)) for parity in (0, 1))
        for axis in (0, 1)
    )
    if any(tap.begin < 0 or tap.end < 0 for pair in taps for tap in pair):
        return None
    nodes = [node]
    whole = {node.outputs[0]}
    while True:
        readers = list(nodes[-1].outputs[0].uses())
        if len(readers) != 1 or nodes[-1].outputs[0].is_graph_output():
            return None
        reader, index = readers[0]
        if index == 0 and _leaves_few_channels(reader):
            return _Stretch(tuple(nodes), reader, weights, cells, taps)
        if not _works_by_cells(reader, whole, node.outputs[0]):
            return None
        nodes.append(reader)
        whole.add(reader.outputs[0])


def _depthwise_kernel(node: ir.Node) -> np.ndarray | None:
    """The constant kernel of a depthwise transposed convolution of stride 2."""
    weights = node.inputs[1]
    tensor = None if weights is None else weights.const_value
    strides = list(node.attributes.get_ints("strides", ()))
    if tensor is None or strides != [2, 2] or len(node.inputs) > 2 or "auto_pad" in node.attributes:
        return None
    kernel = tensor.numpy()
    dilated = set(node.attributes.get_ints("dilations", (1,))) != {1}
    depthwise = kernel.shape[:2] == (node.attributes.get_int("group", 1), 1)
    small = min(kernel.shape[2:]) < 2
    return (
        kernel if depthwise and not dilated and not small and kernel.dtype == np.float32 else None
    )


def _leaves_few_channels(node: ir.Node) -> bool:
    tensor = (
        None if node.op_type != "Conv" or node.inputs[1] is None else node.inputs[1].const_value
    )
    if tensor is None:
        return False
    outputs, inputs, *kernel = tensor.shape.numpy()
    return (
        outputs < inputs
        and kernel == [1, 1]
        and node.attributes.get_int("group", 1) == 1
        and not any(node.attributes.get_ints("pads", ()))
        and set(node.attributes.get_ints("strides", (1,))) == {1}
    )


def _works_by_cells(node: ir.Node, whole: set[ir.Value], like: ir.Value) -> bool:
    """Whether a node computes each cell of a map from the same cell of maps of that size."""
    if len(node.outputs) != 1 or not has(node, Trait.ELEMENTWISE | Trait.POINTWISE):
        return False
    return all(
        value in whole or number(value) is not None or _is_alike(value, like)
        for value in node.inputs
    )


def _is_alike(value: ir.Value | None, like: ir.Value) -> bool:
    if value is None or value.dtype != ir.DataType.FLOAT:
        return False
    return channels_of(value) == channels_of(like) and size_of_map(value) == size_of_map(like)


def _made_of(value: ir.Value, reader: ir.Node) -> tuple[ir.Value, list[ir.Node]]:
    """The one map that a tensor is made of cell by cell for its reader alone, and how.

    The map is the tensor itself, and there are no nodes, where it is made of several maps.
    """
    sources, nodes, pending = set[ir.Value](), [reader], [value]
    while pending:
        x = pending.pop()
        maker = x.producer()
        read_here = {user for user, _ in x.uses()} <= set(nodes)
        if maker is not None and read_here and _is_by_cells(maker):
            nodes.append(maker)
            pending += [y for y in maker.inputs if y is not None and y.const_value is None]
        else:
            sources.add(x)
    return (sources.pop(), nodes[:0:-1]) if len(sources) == 1 else (value, [])


def _is_by_cells(node: ir.Node) -> bool:
    """Whether a node computes each cell of each channel from that cell and constants."""
    result = node.outputs[0]
    if len(node.outputs) != 1 or result.dtype != ir.DataType.FLOAT:
        return False
    if node.op_type == "Conv" and node.inputs[0] is not None and node.inputs[1] is not None:
        shape = node.inputs[1].shape
        alone = shape is not None and list(shape) == [channels_of(result), 1, 1, 1]
        return alone and size_of_map(node.inputs[0]) == size_of_map(result)
    constants = (value for value in node.inputs if value is not None and value.const_value)
    return has(node, Trait.ELEMENTWISE | Trait.POINTWISE) and all(
        number(value) is not None for value in constants
    )


class _Splitting:
    """Writes one stretch phase by phase."""

    def __init__(self, stretch: _Stretch, op: Emitter) -> None:
        self._stretch = stretch
        self._op = op
        self._half = [size // 2 for size in stretch.cells]
        self._parts: dict[tuple[ir.Value, tuple[int, int]], ir.Value] = {}

    def result(self) -> ir.Value:
        """The result of the 1 x 1 convolution."""
        return self._interleaved([self._ended(phase) for phase in _PHASES])

    def _ended(self, phase: tuple[int, int]) -> ir.Value:
        values = {self._stretch.start.outputs[0]: self._transposed(phase)}
        last = self._stretch.start
        for last in self._stretch.nodes[1:]:
            operands = [
                values[value] if value in values else self._operand(value, last, phase)
                for value in last.inputs
                if value is not None
            ]
            values[last.outputs[0]] = self._node(last, operands)
        end = self._stretch.end
        read: list[ir.Value | None] = [values[last.outputs[0]], *end.inputs[1:]]
        return self._node(end, read, channels_of(end.outputs[0]))

    def _node(
        self, node: ir.Node, operands: Sequence[ir.Value | None], channels: int = 0
    ) -> ir.Value:
        like = self._stretch.start.outputs[0]
        shape = [like.shape[0] if like.shape else None, channels or channels_of(like), *self._half]
        return self._op(node.op_type, *operands, like=like, shape=shape, **attributes_of(node))

    def _transposed(self, phase: tuple[int, int]) -> ir.Value:
        """The cells of a phase of the transposed convolution's result."""
        node = self._stretch.start
        taps = [self._stretch.taps[axis][parity] for axis, parity in enumerate(phase)]
        kernel = self._stretch.weights[:, :, taps[0].chosen][..., taps[1].chosen]
        x = node.inputs[0]
        pads = [tap.begin for tap in taps] + [tap.end for tap in taps]
        like = node.outputs[0]
        shape = [like.shape[0] if like.shape else None, channels_of(like), *self._half]
        weights = self._op.constant(kernel, ir.DataType.FLOAT)
        return self._op("Conv", x, weights, like=like, shape=shape, group=len(kernel), pads=pads)

    def _operand(self, value: ir.Value, reader: ir.Node, phase: tuple[int, int]) -> ir.Value:
        """What a node reads beside the stretch, for one phase."""
        if value.const_value is not None:
            return value
        source, makers = _made_of(value, reader)
        if not makers or not _is_alike(source, self._stretch.start.outputs[0]):
            return self._part(value, phase)
        values = {source: self._part(source, phase)}
        for maker in makers:
            operands = [x if x is None else values.get(x, x) for x in maker.inputs]
            values[maker.outputs[0]] = self._node(maker, operands)
        return values[value]

    def _part(self, value: ir.Value, phase: tuple[int, int]) -> ir.Value:
        """The cells of a phase."""
        if (value, phase) not in self._parts:
            channels = channels_of(value)
            kernel = np.zeros((channels, 1, phase[0] + 1, phase[1] + 1))
            kernel[..., -1, -1] = 1
            shape = [value.shape[0] if value.shape else None, channels, *self._half]
            weights = self._op.constant(kernel, ir.DataType.FLOAT)
            self._parts[value, phase] = self._op(
                "Conv", value, weights, like=value, shape=shape, group=channels, strides=[2, 2]
            )
        return self._parts[value, phase]

    def _interleaved(self, parts: Sequence[ir.Value]) -> ir.Value:
        """The map whose phases these are: copies, by a transposed convolution with one tap each.

        ONNX Runtime computes that several times faster than DepthToSpace.
        """
        op, output = self._op, self._stretch.end.outputs[0]
        channels, (height, width) = channels_of(output), self._half
        batch = output.shape[0] if output.shape else None
        flat = op.integers(0, channels, 1, height * width)
        rows = [
            op("Reshape", part, flat, like=part, shape=[batch, channels, 1, height * width])
            for part in parts
        ]
        shape = [batch, channels, len(parts), height * width]
        beside = op("Concat", *rows, like=output, shape=shape, axis=2)
        count = channels * len(parts)
        maps = op(
            "Reshape", beside, op.integers(0, count, height, width), like=output,
            shape=[batch, count, height, width],
        )  # fmt: skip
        taps = np.tile(np.eye(len(parts)), (channels, 1)).reshape(count, 1, 2, 2)
        weights = op.constant(taps, ir.DataType.FLOAT)
        return op("ConvTranspose", maps, weights, like=output, strides=[2, 2], group=channels)


@dataclass(frozen=True, slots=True)
class _Taps:
    """Along one axis, the taps that meet the cells of a parity, as a convolution of stride 1.

    Attributes:
        chosen: places in the kernel, in the order of the convolution.
        begin: padding before the first cell.
        end: padding behind the last.
    """

    chosen: slice
    begin: int
    end: int

    @classmethod
    def of(
        cls,
        node: ir.Node,
        axis: int,
        parity: int,
        kernel: Sequence[int],
        sizes: tuple[tuple[int, int], tuple[int, int]],
    ) -> "_Taps":
        """Cell 2 m + parity gets tap k from cell m + (parity + padding - k) / 2, if whole."""
        padding = list(node.attributes.get_ints("pads", (0, 0, 0, 0)))[axis]
        taps = range((parity + padding) % 2, kernel[axis + 2], 2)
        farthest, nearest = ((parity + padding - taps[k]) // 2 for k in (0, -1))
        before, after = (size[axis] for size in sizes)
        backwards = slice(taps[-1], None if taps[0] == 0 else taps[0] - 1, -2)
        return cls(backwards, -nearest, after // 2 + farthest - before)
