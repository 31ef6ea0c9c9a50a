"""Padding as an operator of its own, where it could not join the convolution that reads it."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np
import onnx_ir as ir

from heatproof.graphs.masking.rules.movement import NOTHING, moved, places
from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import Spatial
from heatproof.graphs.masking.table import RULES
from heatproof.graphs.operators.emitter import attributes_of
from heatproof.graphs.operators.pads import Pads, pads_of
from heatproof.graphs.operators.windows import Incidence

_COPYING: Mapping[str, Literal["edge", "reflect", "wrap"]] = MappingProxyType(
    {"edge": "edge", "reflect": "reflect", "wrap": "wrap"}
)
_LOCAL = frozenset({"constant", "edge", "reflect"})  # wrap joins the ends of the map


@RULES.rule("Pad", 2, 11, 13, 18, 19, 21, 23, 24, 25)
def pad(node: ir.Node, scope: Scope) -> Spatial:
    """Pad(X): new cells are visible border; copies are as visible as what they copy."""
    value, state = node.inputs[0], scope.spatial(node)
    pads = pads_of(node)
    if pads is None or value is None:
        raise scope.refusal(node, "its pads, axes or value are not constant")
    if pads.begins[0] or pads.ends[0]:
        raise scope.refusal(node, "it pads the batch")
    spatial = [axis for axis in state.axes.spatial if pads.begins[axis] or pads.ends[axis]]
    sizes = state.axes.sizes(state.mask)
    lines = {axis: _lines(pads, axis, sizes[axis]) for axis in spatial}
    if spatial and pads.mode in _LOCAL and min(pads.flat) >= 0:
        _fill_before(node, value, state, scope)
    finite = state.finite and math.isfinite(pads.value)
    return Spatial(moved(state, lines, scope, node), state.axes, finite)


def _lines(pads: Pads, axis: int, length: int) -> Incidence:
    """What each cell copies; cells cropped by negative pads are gone."""
    begin, end = pads.begins[axis], pads.ends[axis]
    kept = np.arange(max(-begin, 0), length - max(-end, 0))
    around = (max(begin, 0), max(end, 0))
    if pads.mode == "constant":
        return places(np.pad(kept, around, constant_values=NOTHING).tolist(), length)
    return places(np.pad(kept, around, _COPYING[pads.mode]).tolist(), length)


def _fill_before(node: ir.Node, value: ir.Value, state: Spatial, scope: Scope) -> None:
    """A convolution that reads a Pad reads Pad(fill(X)), as if the padding were its own."""
    output = node.outputs[0]

    def refill(rounds: int) -> ir.Value:
        filled = scope.filled(value, state, rounds)
        return scope.op("Pad", filled, *node.inputs[1:], like=output, **attributes_of(node))

    scope.declare_refill(output, refill)
