"""Keeps numbers per channel, such as gates, and sums over cells in ONNX Runtime's blocked layout.

A product with one number for each channel, [N, C, 1, 1], would leave that layout; a product of two
tensors of equal shape does not, and there is a blocked kernel that repeats cells. Likewise there is
one for means over all cells, but none for their sums.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
import onnx_ir as ir

from heatproof.graphs.lowering.blocking import (
    LEAST_CHANNELS,
    BlockedTensors,
    Spreader,
    is_one_cell,
    scaled,
)
from heatproof.graphs.lowering.replacement import replace
from heatproof.graphs.nodes.constants import number
from heatproof.graphs.nodes.roles import Role, role_of
from heatproof.graphs.nodes.shapes import channels_of, size_of_map
from heatproof.graphs.operators.emitter import Emitter

_OPTIONAL_REGION = 13
"""Opset from which Resize can do without a region of interest."""


def broadcast_in_blocks(model: ir.Model) -> None:
    """Repeats numbers over cells by Resize and sums by means, in place, in rewritten graphs.

    Results are the same but for the order of sums.
    """
    graph = model.graph
    if model.opset_imports[""] < _OPTIONAL_REGION or not any(map(role_of, graph)):
        return
    lowering = _Broadcasting(graph)
    for node in tuple(graph):
        lowering.lower(node)


class _Broadcasting:
    """One pass over a graph, in its order."""

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        self._op = Emitter(graph)
        self._in_blocks = BlockedTensors()
        self._spreader = Spreader(self._op, self._in_blocks)
        self._repeated: dict[tuple[ir.Value, tuple[int, int]], ir.Value] = {}

    def lower(self, node: ir.Node) -> None:
        """Puts the faster form of a node in its place, if there is one."""
        rule = _RULES.get(role_of(node)) or (_Broadcasting.gated if node.op_type == "Mul" else None)
        if rule is None:
            return
        self._op.before(node)
        new = rule(self, node)
        if new is not None:
            replace(self._graph, node, new)

    def gated(self, node: ir.Node) -> ir.Value | None:
        """Mul(x, g) of a map and one number for each channel."""
        for x, gate in (node.inputs, node.inputs[::-1]):
            if x is None or gate is None or not is_one_cell(gate) or is_one_cell(x):
                continue
            if self._is_wide(x) and channels_of(gate) == channels_of(x):
                cells = size_of_map(x)
                whole = cells and self._over(gate, cells)
                return whole and self._op("Mul", x, whole, like=x)
        return None

    def spread(self, node: ir.Node) -> ir.Value | None:
        """Expand(x) over all cells."""
        x, result = node.inputs[0], node.outputs[0]
        cells = size_of_map(result)
        if x is None or cells is None or channels_of(result) < LEAST_CHANNELS:
            return None
        if x.shape is None:
            x.shape, x.type = ir.Shape([*list(result.shape or ())[:2], 1, 1]), result.type
        return self._over(x, cells)

    def summed(self, node: ir.Node) -> ir.Value | None:
        """ReduceSum(x) over the cells."""
        x = node.inputs[0]
        cells = None if x is None or not self._is_wide(x) else size_of_map(x)
        if x is None or cells is None:
            return None
        shape = [*list(x.shape or ())[:2], 1, 1]
        mean = self._op("GlobalAveragePool", x, like=x, shape=shape)
        return scaled(mean, float(cells[0] * cells[1]), self._op)

    def scaling(self, node: ir.Node) -> ir.Value | None:
        """Mul(x, number) or Neg(x)."""
        x, times = node.inputs[0], -1.0 if node.op_type == "Neg" else number(node.inputs[1])
        if x is None or times is None or not self._is_wide(x):
            return None
        return scaled(x, times, self._op)

    def _is_wide(self, x: ir.Value) -> bool:
        return (
            self._in_blocks.is_blocked(x)
            and channels_of(x) >= LEAST_CHANNELS
            and x.dtype == ir.DataType.FLOAT
        )

    def _over(self, gate: ir.Value, cells: tuple[int, int]) -> ir.Value:
        """One number for each channel, repeated over a map of so many rows and columns."""
        if (gate, cells) not in self._repeated:
            scales = self._op.constant(np.array([1, 1, *cells], np.float32))
            shape = [*list(gate.shape or ())[:2], *cells]
            self._repeated[gate, cells] = self._op(
                "Resize", self._spreader.blocked(gate), None, scales, like=gate, shape=shape,
                mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor",
            )  # fmt: skip
        return self._repeated[gate, cells]


_RULES: Final[Mapping[Role | None, Callable[[_Broadcasting, ir.Node], ir.Value | None]]] = (
    MappingProxyType(
        {
            Role.SPREADING: _Broadcasting.spread,
            Role.CELL_SUM: _Broadcasting.summed,
            Role.SCALING: _Broadcasting.scaling,
        }
    )
)
