"""Operators that pick, repeat or reorder cells or channels: the mask is picked from likewise."""

import numpy as np
import onnx_ir as ir

from heatproof.graphs.masking.rules.movement import identities, moved, places
from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.slices import slices_of
from heatproof.graphs.masking.states import Axes, Flat, Spatial
from heatproof.graphs.masking.table import RULES
from heatproof.graphs.nodes.constants import integers

_TO_THE_END = (1 << 31) - 1  # no axis is longer; exporters write this or more


@RULES.rule("Slice", 1, 10, 11, 13)
def slicing(node: ir.Node, scope: Scope) -> Spatial:
    """X[a:b:s]: of channels keeps M, of space (strided, reversed) slices M alike."""
    state = scope.spatial(node)
    cuts = slices_of(node, state.axes.rank)
    if cuts is None:
        raise scope.refusal(node, "its bounds, axes or steps are not constant")
    if not _is_whole(cuts.pop(0, slice(None)), scope.batch):
        raise scope.refusal(node, "it picks images of the batch")
    whole = identities(state)
    lines = {axis: whole[axis][cut] for axis, cut in cuts.items() if axis in whole}
    if not all(map(len, lines.values())):
        raise scope.refusal(node, "it leaves no cell")
    return Spatial(moved(state, lines, scope, node), state.axes, state.finite)


def _is_whole(cut: slice, batch: object) -> bool:
    """Whether a slice of the batch keeps all of it, in order."""
    if cut.start not in (None, 0) or cut.step not in (None, 1):
        return False
    least = min(batch, _TO_THE_END) if isinstance(batch, int) else _TO_THE_END
    return cut.stop is None or cut.stop >= least


@RULES.rule("Gather", 1, 11, 13)
def gather(node: ir.Node, scope: Scope) -> Spatial | Flat:
    """X[..., i, ...]: of channels keeps M, of rows or columns gathers M alike."""
    value, state = node.inputs[0], scope.spatial(node)
    axis = node.attributes.get_int("axis", 0) % state.axes.rank
    indices = node.inputs[1]
    if axis == 0:
        raise scope.refusal(node, "it picks images of the batch")
    if value is None or indices is None or indices.shape is None or scope.state(indices):
        raise scope.refusal(node, "its indices depend on the image, or their rank is not known")
    axes = _shifted(state.axes, axis, indices.shape.rank())
    if axis not in state.axes.spatial:
        return Spatial(state.mask, axes, state.finite)
    chosen = integers(indices)
    if not chosen or indices.shape.rank() > 1:
        raise scope.refusal(node, "its indices of rows or columns are not a constant vector")
    identity = identities(state)[axis]
    if not axes.spatial:
        node.replace_input_with(0, scope.visible(value, state))
        return scope.exit([moved(state, {axis: identity[chosen]}, scope, node)])
    return Spatial(moved(state, {axis: identity[chosen]}, scope, node), axes, state.finite)


def _shifted(axes: Axes, axis: int, rank: int) -> Axes:
    """Where the axes lie after one was replaced by `rank` others."""

    def place(old: int) -> int | None:
        if old == axis and rank == 0:
            return None
        return old if old <= axis else old + rank - 1

    return axes.moved(axes.rank + rank - 1, place)


@RULES.rule("Tile", 6, 13)
def tile(node: ir.Node, scope: Scope) -> Spatial:
    """X repeated along axes: repeats M along the spatial ones."""
    state = scope.spatial(node)
    repeats = integers(node.inputs[1])
    if repeats is None or scope.state(node.inputs[1]):
        raise scope.refusal(node, "its repeats are not constant")
    if repeats[0] != 1:
        raise scope.refusal(node, "it repeats the batch")
    lines = {
        axis: np.tile(identity, (repeats[axis], 1)) for axis, identity in identities(state).items()
    }
    return Spatial(moved(state, lines, scope, node), state.axes, state.finite)


@RULES.rule("Expand", 8, 13)
def expand(node: ir.Node, scope: Scope) -> Spatial:
    """X repeated along axes of size 1, or along new ones: repeats M along the spatial ones."""
    state, output = scope.spatial(node), node.outputs[0]
    if output.shape is None:
        raise scope.refusal(node, "the shape of its output is not known")
    fresh = output.shape.rank() - state.axes.rank
    if fresh:
        raise scope.refusal(node, "it puts new axes in front of the batch")
    lines = {}
    for axis, identity in identities(state).items():
        size = output.shape[axis]
        if not isinstance(size, int):
            raise scope.refusal(node, "the size of its output is not static")
        if size != len(identity):
            lines[axis] = places([0] * size, 1)
    return Spatial(moved(state, lines, scope, node), state.axes, state.finite)
