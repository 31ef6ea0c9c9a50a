"""Operators that move cells without computing: reshapes, transpositions, flattening."""

from dataclasses import replace

import onnx_ir as ir

from heatproof.graphs.masking.rules.arrangement.grouping import grouped
from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import NCHW, Axes, Flat, Spatial
from heatproof.graphs.masking.table import RULES
from heatproof.graphs.nodes.constants import integers


@RULES.rule("Flatten", 1, 9, 11, 13, 21, 23, 24, 25)
def flatten(node: ir.Node, scope: Scope) -> Flat:
    """Computes X.M, flattened: a dense layer sees removed cells as zeros."""
    if node.attributes.get_int("axis", 1) != 1:
        raise scope.refusal(node, "it does not keep the batch axis apart")
    return _left_flat(node, scope)


@RULES.rule("Reshape", 1, 5, 13, 14, 19, 21, 23, 24, 25)
def reshape(node: ir.Node, scope: Scope) -> Spatial | Flat:
    """Keeps the mask if the spatial axes stay whole or merge into one; else flatten(X.M)."""
    state = scope.spatial(node)
    value, output = node.inputs[0], node.outputs[0]
    if value is None or value.shape is None or output.shape is None:
        raise scope.refusal(node, "the shape of its input or output is not known")
    if not _keeps_batch(value.shape, output.shape):
        raise scope.refusal(node, f"it moves the batch axis: {value.shape} to {output.shape}")
    if state.mask.size == (1, 1) and output.shape.rank() <= 2:  # [N, features]
        return _left_flat(node, scope)
    axes = _relocated(state, value.shape, output.shape)
    if axes is not None:
        return replace(state, axes=axes) if axes.spatial else _left_flat(node, scope)
    groups = grouped(node, state, scope)
    if groups:
        return groups
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
        reason = "it moves the batch axis"
        if rank > NCHW.rank:
            reason += ", as attention does with its stack of queries, keys and values"
        raise scope.refusal(node, reason)
    return replace(state, axes=state.axes.moved(rank, order.index))


@RULES.rule("Squeeze", 1, 11, 13, 21, 23, 24, 25)
def squeeze(node: ir.Node, scope: Scope) -> Spatial | Flat:
    """Drops axes of size 1; a map of one cell whose spatial axes go leaves the spatial domain."""
    state = scope.spatial(node)
    gone = _listed_axes(node, scope, state.axes.rank)
    if 0 in gone:
        raise scope.refusal(node, "it drops the batch axis")
    axes = state.axes.without(gone)
    return replace(state, axes=axes) if axes.spatial else _left_flat(node, scope)


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
    return replace(state, axes=state.axes.moved(rank, old.__getitem__))


def _left_flat(node: ir.Node, scope: Scope) -> Flat:
    state, value = scope.spatial(node), node.inputs[0]
    if value is not None:  # exactly: a dense layer may see the sign of a zero
        node.replace_input_with(0, scope.visible(value, replace(state, finite=False)))
    return scope.exit([state.mask])


def _listed_axes(node: ir.Node, scope: Scope, rank: int | None) -> set[int]:
    axes = list(node.attributes.get_ints("axes", ()))
    if not axes and len(node.inputs) > 1:
        axes = integers(node.inputs[1]) or []
    if not axes:
        raise scope.refusal(node, "its axes are not constant")
    return set(axes) if rank is None else {axis % rank for axis in axes}


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


def _relocated(state: Spatial, before: ir.Shape, after: ir.Shape) -> Axes | None:
    """Where a reshape puts rows and columns that it keeps whole or merges; None if it does not.

    An axis is known by its size and by the elements of an image that lie ahead of it, that is,
    by the product of the sizes between the batch and it.
    """
    (rows, columns), target = state.mask.size, list(after)[1:]
    ahead_of_row, ahead_of_column = _places(state, before)
    width = _axis_at(target, ahead_of_column, columns)
    height = _axis_at(target, ahead_of_row, rows, taken=width)
    if (height is not None or rows == 1) and (width is not None or columns == 1):
        return Axes(after.rank(), height, width)
    if ahead_of_column != ahead_of_row * rows:
        return None
    whole = _axis_at(target, ahead_of_row, rows * columns)
    return None if whole is None else Axes(after.rank(), whole, whole)


def _places(state: Spatial, shape: ir.Shape) -> tuple[int, int]:
    """Elements ahead of the axis of the rows, and of that of the columns, if each were apart."""
    axes, rows = state.axes, state.mask.height

    def ahead(axis: int) -> int:
        return _elements(list(shape)[1:axis]) or 0

    if axes.height is None:  # of size 1, it may lie anywhere
        column = ahead(axes.width or 0)
        return column, column
    row = ahead(axes.height)
    if axes.merged or axes.width is None:
        return row, row * rows
    return row, ahead(axes.width)


def _axis_at(
    dims: list[int | ir.SymbolicDim], ahead: int, size: int, taken: int | None = None
) -> int | None:
    """The last axis of this size with so many elements ahead of it (the batch not counted)."""
    for index in reversed(range(len(dims))):
        if dims[index] == size and index + 1 != taken and _elements(dims[:index]) == ahead:
            return index + 1
    return None
