"""Operators that move cells without computing: reshapes, transpositions, flattening."""

import onnx_ir as ir

from heatproof.graphs.masking.constants import integers
from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import Axes, Flat, Spatial
from heatproof.graphs.masking.table import RULES


@RULES.rule("Flatten", 1, 9, 11, 13)
def flatten(node: ir.Node, scope: Scope) -> Flat:
    """Computes X.M, flattened: a dense layer sees removed cells as zeros."""
    if node.attributes.get_int("axis", 1) != 1:
        raise scope.refusal(node, "it does not keep the batch axis apart")
    return _left_flat(node, scope)


@RULES.rule("Reshape", 1, 5, 13, 14, 19, 21, 23, 24, 25)
def reshape(node: ir.Node, scope: Scope) -> Spatial | Flat:
    """Keeps the mask if the spatial axes stay apart; else flatten(X.M)."""
    state = scope.spatial(node)
    value, output = node.inputs[0], node.outputs[0]
    if value is None or value.shape is None or output.shape is None:
        raise scope.refusal(node, "the shape of its input or output is not known")
    if not _keeps_batch(value.shape, output.shape):
        raise scope.refusal(node, f"it moves the batch axis: {value.shape} to {output.shape}")
    if state.mask.size == (1, 1) and output.shape.rank() <= 2:  # [N, features]
        return _left_flat(node, scope)
    axes = _relocated(state.axes, value.shape, output.shape)
    if axes is not None:
        return Spatial(state.mask, axes, state.finite)
    if output.shape.rank() != 2:  # [N, features]
        raise scope.refusal(
            node, f"it mixes spatial and other axes: {value.shape} to {output.shape}"
        )
    return _left_flat(node, scope)


@RULES.rule("Transpose", 1, 13, 21, 23, 24, 25)
def transpose(node: ir.Node, scope: Scope) -> Spatial:
    """Renumbers the spatial axes."""
    state = scope.spatial(node)
    rank = state.axes.rank
    order = list(node.attributes.get_ints("perm", tuple(reversed(range(rank)))))
    if order[0] != 0:
        raise scope.refusal(node, "it moves the batch axis")

    def moved(axis: int | None) -> int | None:
        return None if axis is None else order.index(axis)

    axes = Axes(rank, moved(state.axes.height), moved(state.axes.width))
    return Spatial(state.mask, axes, state.finite)


@RULES.rule("Squeeze", 1, 11, 13, 21, 23, 24, 25)
def squeeze(node: ir.Node, scope: Scope) -> Spatial | Flat:
    """Drops axes of size 1; a map of one cell whose spatial axes go leaves the spatial domain."""
    state = scope.spatial(node)
    rank = state.axes.rank
    gone = _listed_axes(node, scope, rank)
    spatial = set(state.axes.spatial)
    if spatial <= gone:
        return _left_flat(node, scope)
    if spatial & gone or 0 in gone:
        raise scope.refusal(node, "it drops one of the spatial axes or the batch axis")
    return Spatial(state.mask, _renumbered(state.axes, rank - len(gone), gone), state.finite)


@RULES.rule("Unsqueeze", 1, 11, 13, 21, 23, 24, 25)
def unsqueeze(node: ir.Node, scope: Scope) -> Spatial:
    """Adds axes of size 1."""
    state = scope.spatial(node)
    new = _listed_axes(node, scope, None)
    rank = state.axes.rank + len(new)
    fresh = {axis % rank for axis in new}
    if 0 in fresh:
        raise scope.refusal(node, "it moves the batch axis")
    old = [axis for axis in range(rank) if axis not in fresh]

    def moved(axis: int | None) -> int | None:
        return None if axis is None else old[axis]

    axes = Axes(rank, moved(state.axes.height), moved(state.axes.width))
    return Spatial(state.mask, axes, state.finite)


def _left_flat(node: ir.Node, scope: Scope) -> Flat:
    state, value = scope.spatial(node), node.inputs[0]
    if value is not None:
        node.replace_input_with(0, scope.visible(value, state))
    return scope.exit([state.mask])


def _listed_axes(node: ir.Node, scope: Scope, rank: int | None) -> set[int]:
    axes = list(node.attributes.get_ints("axes", ()))
    if not axes and len(node.inputs) > 1:
        axes = integers(node.inputs[1]) or []
    if not axes:
        raise scope.refusal(node, "its axes are not constant")
    return set(axes) if rank is None else {axis % rank for axis in axes}


def _renumbered(axes: Axes, rank: int, gone: set[int]) -> Axes:
    def moved(axis: int | None) -> int | None:
        return None if axis is None else axis - sum(other < axis for other in gone)

    return Axes(rank, moved(axes.height), moved(axes.width))


def _keeps_batch(before: ir.Shape, after: ir.Shape) -> bool:
    """Whether the elements of each image stay together, as far as shapes tell."""
    inner = _elements(list(before)[1:])
    return inner is not None and inner == _elements(list(after)[1:])


def _elements(dims: list[int | ir.SymbolicDim]) -> int | None:
    product = 1
    for dim in dims:
        if not isinstance(dim, int):
            return None
        product *= dim
    return product


def _relocated(axes: Axes, before: ir.Shape, after: ir.Shape) -> Axes | None:
    """Where a reshape that keeps the spatial axes whole puts them; None if it does not."""
    source, target = list(before)[1:], list(after)[1:]

    def moved(axis: int | None) -> int | None:
        if axis is None:
            return None
        return _axis_at(target, _elements(source[: axis - 1]), source[axis - 1])

    height, width = moved(axes.height), moved(axes.width)
    lost = (height is None and axes.height is not None) or (
        width is None and axes.width is not None
    )
    return None if lost else Axes(after.rank(), height, width)


def _axis_at(
    dims: list[int | ir.SymbolicDim], ahead: int | None, size: int | ir.SymbolicDim
) -> int | None:
    """The axis of this size with so many elements ahead of it (axis 0, the batch, not counted)."""
    for index, dim in enumerate(dims):
        if dim == size and _elements(dims[:index]) == ahead:
            return index + 1
    return None
