"""Shapes of gradients: undoing broadcasts and reshapes, with dynamic dimensions."""

import onnx_ir as ir

from heatproof.graphs.gradients.emitter import GradientEmitter
from heatproof.graphs.nodes.roles import Role, declare_role


def sizes(value: ir.Value) -> tuple[int | None, ...] | None:
    """Dimensions of a value, None where dynamic; None if even the rank is unknown."""
    if value.shape is None:
        return None
    return tuple(dim if isinstance(dim, int) else None for dim in value.shape)


def known_sizes(value: ir.Value, op: GradientEmitter) -> tuple[int | None, ...]:
    """As `sizes`, and refuses a value of unknown rank."""
    found = sizes(value)
    if found is None:
        raise op.refusal(f"the rank of {value.name!r} is unknown")
    return found


def reciprocal_ratio(many: ir.Value, few: ir.Value, op: GradientEmitter) -> ir.Value:
    """The share of one element of `many` in one of `few`, by their sizes when the graph runs."""
    ratio = op("Cast", op("Div", op("Size", many), op("Size", few)), to=int(ir.DataType.FLOAT))
    # Counts may overflow float16; their reciprocals do not.
    return op("Cast", op("Reciprocal", ratio), to=int(ir.DataType.from_numpy(op.dtype)))


def shaped_as(value: ir.Value, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Reshapes a gradient to the shape of a forward value with as many elements."""
    found = sizes(value)
    if found is None or sum(size is None for size in found) > 1 or 0 in found:
        return op("Reshape", gradient, op("Shape", value))
    return op("Reshape", gradient, op.integers(*(-1 if size is None else size for size in found)))


def spread_as(value: ir.Value, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Broadcasts a gradient to the shape of a forward value."""
    found = sizes(value)
    if found is not None and all(size is not None for size in found):
        return op("Expand", gradient, op.integers(*(size or 0 for size in found)))
    return op("Expand", gradient, op("Shape", value), like=value)


def summed_to(
    value: ir.Value, gradient: ir.Value, outer: ir.Shape | None, op: GradientEmitter
) -> ir.Value:
    """Sums a gradient of shape `outer` over the axes along which a value was broadcast."""
    if value.shape is None or outer is None:
        return _summed_at_run_time(value, gradient, op)
    added = outer.rank() - value.shape.rank()
    axes = list(range(added))
    for axis, size in enumerate(value.shape, start=added):
        if size == 1 and outer[axis] != 1:
            axes.append(axis)
        elif not isinstance(size, int) and size != outer[axis]:
            return _summed_at_run_time(value, gradient, op)
    if not axes:
        return gradient
    total = op.sum_over(gradient, axes)
    if axes == [2, 3] and outer.rank() == 4:  # [N, C, height, width]
        gradient.shape, gradient.type = gradient.shape or outer, gradient.type or value.type
        declare_role(total, Role.CELL_SUM)
    return shaped_as(value, total, op) if added else total


def _summed_at_run_time(value: ir.Value, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Finds the broadcast axes when the graph runs: those where the padded shapes differ."""
    if op.opset < 13:  # ReduceSum takes computed axes from opset 13
        raise op.refusal(f"whether {value.name!r} is broadcast is unknown before opset 13")
    inner, outer = op("Shape", value), op("Shape", gradient)
    added = op("Sub", op("Size", outer), op("Size", inner))
    ones = op("Expand", op.integers(1), shape_of_scalar(added, op))
    differs = op("Not", op("Equal", op("Concat", ones, inner, axis=0), outer))
    axes = op(
        "Reshape", op("NonZero", op("Cast", differs, to=int(ir.DataType.INT64))), op.integers(-1)
    )
    total = op("ReduceSum", gradient, axes, keepdims=1, noop_with_empty_axes=1)
    return op("Reshape", total, inner)


def shape_of_scalar(count: ir.Value, op: GradientEmitter) -> ir.Value:
    """A shape of one axis, from a rank-0 count."""
    return op("Reshape", count, op.integers(1))
