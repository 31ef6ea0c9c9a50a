"""Puts zeros, or another number, into the hidden cells of tensors.

A product with the mask is several times faster in ONNX Runtime than Where, but turns infinities
and NaN in hidden cells into NaN: it serves tensors whose hidden cells are provably finite. Four
forms of it leave ONNX Runtime's fusions and blocked layout in place:

    relu(x) . M              = relu(x - (1 - M) . huge)         also hard-swish
    clip(x, 0, b) . M        = relu(clip(x, 0, b) - (1 - M) . huge)
    (x . sigmoid(x)) . M     = (x . M) . sigmoid(x)
    x . M                    with M spread over the channels of x
"""

import onnx_ir as ir

from heatproof.graphs.lowering.blocking import Layouts, Spreader
from heatproof.graphs.masking.masks.pyramid import Pyramid
from heatproof.graphs.masking.states import NCHW, Spatial
from heatproof.graphs.nodes.constants import number
from heatproof.graphs.nodes.forms import is_sigmoid_of
from heatproof.graphs.operators.emission import Emitter, attributes_of
from heatproof.graphs.operators.traits import Trait, has

HUGE = 1e30
"""Far above any activation of float32, far below its overflow."""


class Hider:
    """Makes masked versions of tensors, each once."""

    def __init__(self, emit: Emitter, masks: Pyramid, spread: Spreader, layouts: Layouts) -> None:
        self._emit = emit
        self._layouts = layouts
        self._masks = masks
        self._spread = spread
        self._visible: dict[tuple[ir.Value, float, bool], ir.Value] = {}
        self._floors: dict[ir.Value, ir.Value] = {}
        self._makers: set[ir.Node | None] = set()

    def visible(self, value: ir.Value, state: Spatial, hidden: float) -> ir.Value:
        """The tensor with `hidden` in its hidden cells; a product may leave zeros of either sign.

        States that are not finite are cut exactly.
        """
        exact = self._visible.get((value, hidden, True))
        if exact is not None:
            return exact
        key = (value, hidden, not state.finite)
        if key not in self._visible:
            self._visible[key] = self._cut(value, state, hidden)
        return self._visible[key]

    def declare_visible(self, value: ir.Value) -> None:
        """Says that a tensor's hidden cells are zeros already."""
        self._visible[value, 0.0, True] = value

    def share(self) -> None:
        """Lets every reader of a tensor read its masked version where there is one.

        Except the nodes that make the masked version.
        """
        zeroed = (shown.producer() for (_, hidden, _), shown in self._visible.items() if not hidden)
        makers = self._makers.union(zeroed)
        for (value, hidden, _), shown in self._visible.items():
            if hidden or value.is_graph_output():
                continue
            for node, index in value.uses():
                if node not in makers:
                    node.replace_input_with(index, shown)

    def _cut(self, value: ir.Value, state: Spatial, hidden: float) -> ir.Value:
        name = f"{value.name}_visible"
        dtype = value.dtype or ir.DataType.FLOAT
        if state.finite and not hidden and dtype.is_floating_point():
            mask = self._masks.view(state.mask, state.axes, dtype)
            if state.axes == NCHW:
                return self._product(value, mask, name)
            return self._emit.node("Mul", value, mask, like=value, name=name)
        mask = self._masks.view(state.mask, state.axes, ir.DataType.BOOL)
        if dtype == ir.DataType.BOOL and not hidden:  # ONNX Runtime has no Where for these
            return self._emit.node("And", mask, value, like=value, name=name)
        other = self._emit.scalar(hidden, dtype)
        return self._emit.node("Where", mask, value, other, like=value, name=name)

    def _product(self, value: ir.Value, mask: ir.Value, name: str) -> ir.Value:
        if self._layouts.is_blocked(value) and value.dtype == ir.DataType.FLOAT:
            lowered = self._lowered(value, mask, name)
            if lowered is not None:
                return lowered
        pair = _gated(value, self._layouts)
        if pair:
            part = self._product(pair[0], mask, f"{name}_input")
            return self._emit.node("Mul", part, pair[1], like=value, name=name)
        if self._layouts.is_blocked(value):
            mask = self._spread.fitted(mask, value)
        return self._emit.node("Mul", value, mask, like=value, name=name)

    def _lowered(self, value: ir.Value, mask: ir.Value, name: str) -> ir.Value | None:
        """The tensor by way of an activation that is 0 far below zero, if it has one."""
        node = value.producer()
        x = None if node is None else node.inputs[0]
        if node is None or x is None:
            return None
        if has(node, Trait.ZERO_FAR_BELOW):
            far_below = self._spread.added(self._floor(mask), x, f"{name}_input")
            attributes = attributes_of(node)
            return self._emit.node(
                node.op_type, far_below, like=value, name=name, attributes=attributes
            )
        if node.op_type == "Clip" and _least(node) == 0:
            # The convolution before takes a Clip in, but not behind a sum.
            far_below = self._spread.added(self._floor(mask), value, f"{name}_input")
            self._makers.add(far_below.producer())
            return self._emit.node("Relu", far_below, like=value, name=name)
        return None

    def _floor(self, mask: ir.Value) -> ir.Value:
        """0 in visible cells, -huge in hidden ones."""
        if mask not in self._floors:
            one = self._emit.scalar(1.0, mask.dtype)
            hidden = self._emit.node("Sub", mask, one, like=mask)
            huge = self._emit.scalar(HUGE, mask.dtype)
            self._floors[mask] = self._emit.node("Mul", hidden, huge, like=mask, name="mask_floor")
        return self._floors[mask]


def _least(clip: ir.Node) -> float | None:
    """The lower bound of a Clip, an attribute before opset 11."""
    bound = clip.inputs[1] if len(clip.inputs) > 1 else None
    return clip.attributes.get_float("min", None) if bound is None else number(bound)


def _gated(value: ir.Value, layouts: Layouts) -> tuple[ir.Value, ir.Value] | None:
    """X and sigmoid(x) of a product x . sigmoid(x), if x is blocked."""
    node = value.producer()
    if node is None or node.op_type != "Mul":
        return None
    for x, gate in (node.inputs, node.inputs[::-1]):
        if x is not None and layouts.is_blocked(x) and is_sigmoid_of(gate, x):
            return x, gate  # type: ignore[return-value] # a sigmoid is not absent
    return None
