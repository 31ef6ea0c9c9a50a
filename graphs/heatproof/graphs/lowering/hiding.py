"""Keeps what layer masking adds in ONNX Runtime's blocked layout and out of the way of its fusions.

A product with a mask is computed in one of these forms, M spread over the channels of x:

    relu(x) . M              = relu(x - (1 - M) . huge)         also hard-swish
    clip(x, 0, b) . M        = relu(clip(x, 0, b) - (1 - M) . huge)
    x . M

and a round of the fill, x + A . box(x), as one convolution and one product, w a power of two:

    (box(x) + w x) . (A + 1 / w)

x is 0 in the cells that a round fills, which are those where A > 0. In the others that is
x + box(x) / w, which rounds to x; where nothing is near, both factors' sums are 0.
"""

from collections.abc import Callable, Mapping

import onnx_ir as ir

from heatproof.graphs.lowering.blocking import LEAST_CHANNELS, BlockedTensors, Spreader
from heatproof.graphs.lowering.boxes import fast_box_means, weighted_box_means
from heatproof.graphs.nodes.constants import number
from heatproof.graphs.nodes.roles import Role, hand_on_notes, role_of
from heatproof.graphs.nodes.shapes import channels_of
from heatproof.graphs.operators.emitter import Emitter, attributes_of
from heatproof.graphs.operators.traits import Trait, has

HUGE = 1e30
"""Far above any activation of float32, far below its overflow."""

WEIGHT = 2.0**40
"""Of a cell among its neighbours: their share is far below the rounding of float32."""


def block(model: ir.Model) -> None:
    """Rewrites the nodes that hide and fill cells, in place; names of other tensors are kept."""
    graph = model.graph
    marked = [(node, role) for node in graph if (role := role_of(node)) is not None]
    if marked:
        lowering = _Blocking(graph)
        for node, role in marked:
            lowering.lower(node, role)


class _Blocking:
    """One pass over a graph, in its order."""

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        self._op = Emitter(graph)
        self._in_blocks = BlockedTensors()
        self._spread = Spreader(self._op, self._in_blocks)
        self._floors: dict[ir.Value, ir.Value] = {}
        self._rules: Mapping[Role, Callable[[ir.Node], ir.Value | None]] = {
            Role.HIDING: self._hidden,
            Role.BOX: self._means,
            Role.FILLED: self._filled,
        }

    def lower(self, node: ir.Node, role: Role) -> None:
        """Puts the faster form of a node in its place, if there is one."""
        self._op.before(node)
        new = self._rules[role](node) if role in self._rules else None
        if new is None:
            return
        old = node.outputs[0]
        new.name, old.name = old.name, f"{old.name}_portable"
        ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
        hand_on_notes(node, new)
        self._graph.remove(node, safe=True)

    def _hidden(self, node: ir.Node) -> ir.Value:
        value, mask = _operands(node)
        return self._product(value, mask, f"{value.name}_visible")

    def _means(self, node: ir.Node) -> ir.Value | None:
        value = node.inputs[0]
        return None if value is None or _is_wide(value) else fast_box_means(self._op, value)

    def _filled(self, node: ir.Node) -> ir.Value | None:
        """A round of the fill; the box and the product that it has been are left unread."""
        value, filling = _operands(node)
        maker = filling.producer()
        if maker is None or not _is_wide(value):
            return None
        _, scale = _operands(maker)
        if role_of(value.producer()) is not Role.UNITS:  # a map that costs too little
            value = self._spread.blocked(value)
        means = weighted_box_means(self._op, value, WEIGHT)
        factor = self._spread.over(scale, channels_of(value), 1 / WEIGHT)
        return self._op("Mul", means, factor, like=value)

    def _product(self, value: ir.Value, mask: ir.Value, name: str) -> ir.Value:
        if self._in_blocks.is_blocked(value) and value.dtype == ir.DataType.FLOAT:
            lowered = self._lowered(value, mask, name)
            if lowered is not None:
                return lowered
        if self._in_blocks.is_blocked(value):
            mask = self._spread.fitted(mask, value)
        return self._op("Mul", value, mask, like=value, name=name)

    def _lowered(self, value: ir.Value, mask: ir.Value, name: str) -> ir.Value | None:
        """The tensor by way of an activation that is 0 far below zero, if it has one."""
        node = value.producer()
        x = None if node is None else node.inputs[0]
        if node is None or x is None:
            return None
        if has(node, Trait.ZERO_FAR_BELOW):
            far_below = self._spread.added(self._floor(mask), x, f"{name}_input")
            attributes = attributes_of(node)
            return self._op(node.op_type, far_below, like=value, name=name, **attributes)
        if node.op_type == "Clip" and _least(node) == 0:
            # The convolution before takes a Clip in, but not behind a sum.
            far_below = self._spread.added(self._floor(mask), value, f"{name}_input")
            return self._op("Relu", far_below, like=value, name=name)
        return None

    def _floor(self, mask: ir.Value) -> ir.Value:
        """0 in visible cells, -huge in hidden ones."""
        if mask not in self._floors:
            one = self._op.scalar(1.0, mask.dtype)
            hidden = self._op("Sub", mask, one, like=mask)
            huge = self._op.scalar(HUGE, mask.dtype)
            self._floors[mask] = self._op("Mul", hidden, huge, like=mask, name="mask_floor")
        return self._floors[mask]


def _is_wide(value: ir.Value) -> bool:
    return channels_of(value) >= LEAST_CHANNELS and value.dtype == ir.DataType.FLOAT


def _operands(node: ir.Node) -> tuple[ir.Value, ir.Value]:
    first, second = node.inputs
    if first is None or second is None:
        message = f"node {node.name!r} of a rewrite lacks an operand"
        raise TypeError(message)
    return first, second


def _least(clip: ir.Node) -> float | None:
    """The lower bound of a Clip, an attribute before opset 11."""
    bound = clip.inputs[1] if len(clip.inputs) > 1 else None
    return clip.attributes.get_float("min", None) if bound is None else number(bound)
