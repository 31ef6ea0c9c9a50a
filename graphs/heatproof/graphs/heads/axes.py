"""Follows the class axis backwards through operators that only rearrange a tensor."""

from collections.abc import Sequence

import onnx_ir as ir

from heatproof.graphs.nodes.constants import constant_operand

_OPERANDS_SINCE = 13  # opset from which Squeeze and its kin read their axes as an operand
_LAST_AXIS_BY_DEFAULT = 13  # opset from which Softmax runs along one axis, the last by default


def class_axis(value: ir.Value) -> int | None:
    """The one axis behind the first that holds more than one value; None if none or several do."""
    if value.shape is None:
        return None
    wide = [axis for axis, size in enumerate(value.shape) if axis and size != 1]
    return wide[0] if len(wide) == 1 else None


def holds_one_value(value: ir.Value) -> bool:
    """Whether a tensor holds one value an image: [N], [N, 1] and so on."""
    return value.shape is not None and value.shape.rank() > 0 and set(value.shape[1:]) <= {1}


def reshaped_axis(node: ir.Node, axis: int) -> int | None:
    """The axis of a reshape's operand that becomes `axis`; None if elements change places.

    Only axes of size 1 may come and go.
    """
    source, target = node.inputs[0], node.outputs[0]
    if source is None or source.shape is None or target.shape is None:
        return None
    before, after = _wide(source.shape), _wide(target.shape)
    if axis not in after:
        return None
    place = after.index(axis)
    if len(before) != len(after) or source.shape[before[place]] != target.shape[axis]:
        return None
    return before[place]


def _wide(shape: ir.Shape) -> list[int]:
    return [axis for axis, size in enumerate(shape) if size != 1]


def transposed_axis(node: ir.Node, axis: int) -> int | None:
    """The axis of a transpose's operand that becomes `axis`."""
    source = node.inputs[0]
    if source is None or source.shape is None:
        return None
    rank = source.shape.rank()
    return node.attributes.get_ints("perm", tuple(reversed(range(rank))))[axis]


def reduced_axes(node: ir.Node) -> tuple[int, ...] | None:
    """The axes that a reduction runs over, as a constant operand or an attribute."""
    source = node.inputs[0]
    if source is None or source.shape is None:
        return None
    rank = source.shape.rank()
    held = constant_operand(node, 1)
    axes: Sequence[int] = (
        node.attributes.get_ints("axes", ())
        if held is None
        else [int(axis) for axis in held.reshape(-1)]
    )
    if not axes and (held is None and len(node.inputs) > 1 and node.inputs[1] is not None):
        return None  # computed
    return tuple(sorted(axis % rank for axis in axes or range(rank)))


def kept_axis(node: ir.Node, axis: int) -> int | None:
    """The axis of a reduction's operand that becomes `axis`."""
    axes = reduced_axes(node)
    source = node.inputs[0]
    if axes is None or source is None or source.shape is None:
        return None
    if node.attributes.get_int("keepdims", 1):
        return None if axis in axes else axis
    left = [place for place in range(source.shape.rank()) if place not in axes]
    return left[axis] if axis < len(left) else None


def runs_over(node: ir.Node, axis: int, opset: int) -> bool:
    """Whether a softmax runs along an axis and nothing else that holds more than one value.

    Args:
        node: the softmax, perhaps in a branch, which imports no operator set of its own.
        axis: the axis.
        opset: version of ai.onnx that the model imports.
    """
    shape = next((v.shape for v in (node.inputs[0], node.outputs[0]) if v and v.shape), None)
    if shape is None:  # quantized operators beyond ai.onnx have no inferred shapes
        return node.attributes.get_int("axis", -1) in {axis, -1}
    rank = shape.rank()
    version = opset if node.domain == "" else _LAST_AXIS_BY_DEFAULT
    if version >= _LAST_AXIS_BY_DEFAULT:
        return node.attributes.get_int("axis", -1) % rank == axis
    first = node.attributes.get_int("axis", 1) % rank
    return [place for place in range(first, rank) if shape[place] != 1] == [axis]
