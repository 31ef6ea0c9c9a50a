"""Puts zeros, or another number, into the hidden cells of tensors.

A product with the mask is several times faster in ONNX Runtime than Where, but turns infinities
and NaN in hidden cells into NaN: it serves tensors whose hidden cells are provably finite.
"""

import onnx_ir as ir

from heatproof.graphs.masking.masks.pyramid import Pyramid
from heatproof.graphs.masking.states import NCHW, Spatial
from heatproof.graphs.nodes.roles import Role, declare_role
from heatproof.graphs.operators.emitter import Emitter


class Hider:
    """Makes masked versions of tensors, each once."""

    def __init__(self, op: Emitter, masks: Pyramid) -> None:
        self._op = op
        self._masks = masks
        self._visible: dict[tuple[ir.Value, float, bool], ir.Value] = {}

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
        makers = set(zeroed)
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
            shown = self._op("Mul", value, mask, like=value, name=name)
            return declare_role(shown, Role.HIDING) if state.axes == NCHW else shown
        mask = self._masks.view(state.mask, state.axes, ir.DataType.BOOL)
        if dtype == ir.DataType.BOOL and not hidden:  # ONNX Runtime has no Where for these
            return self._op("And", mask, value, like=value, name=name)
        other = self._op.scalar(hidden, dtype)
        return self._op("Where", mask, value, other, like=value, name=name)
