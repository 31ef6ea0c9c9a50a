"""Sums and means of several members' scores, as ensembles and test-time augmentation form them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import onnx_ir as ir

from heatproof.graphs.heads.axes import class_axis, kept_axis, reduced_axes
from heatproof.graphs.heads.forms import handwritten
from heatproof.graphs.heads.operands import ADDABLE, Reads, times
from heatproof.graphs.heads.scores import Kind, Scores
from heatproof.graphs.nodes.constants import constant_operand

_NOTHING: Final = 1e-6
"""Constants up to this are added against logarithms and quotients of zero alone."""


def added(node: ir.Node, axis: int | None, reader: Reads) -> Scores | None:
    """Y = a + b + ...: sums and bounds add up."""
    held = [constant_operand(node, index) for index in range(len(node.inputs))]
    if any(array is not None and np.abs(array).max(initial=0) > _NOTHING for array in held):
        return None
    computed = [value for value, array in zip(node.inputs, held, strict=True) if array is None]
    return _combined(
        [reader.read(_kept(value, node), _axis(value, node, axis)) for value in computed]
    )


def averaged(node: ir.Node, axis: int | None, reader: Reads) -> Scores | None:
    """Y = (a + b + ...) / n."""
    found = _combined(
        [reader.read(_kept(value, node), _axis(value, node, axis)) for value in node.inputs]
    )
    return None if found is None else replace(found, total=found.total / len(node.inputs))


def _kept(value: ir.Value | None, node: ir.Node) -> ir.Value | None:
    """An operand of the result's own shape; broadcasting members is not understood."""
    result = node.outputs[0]
    if value is None or value.shape is None or result.shape is None:
        return None
    return value if value.shape.rank() == result.shape.rank() else None


def _axis(value: ir.Value | None, node: ir.Node, axis: int | None) -> int | None:
    """The class axis of an operand; an operand of one value that is broadcast has none."""
    if axis is None or value is None or value.shape is None:
        return axis
    shape = node.outputs[0].shape
    same = shape is not None and axis < len(value.shape) and value.shape[axis] == shape[axis]
    return axis if same else None


def _combined(found: Sequence[Scores | None]) -> Scores | None:
    """Members of one kind; logits are known only if there is a single member."""
    known = [scores for scores in found if scores is not None]
    if not known or len(known) < len(found) or len({scores.kind for scores in known}) > 1:
        return None
    first = known[0]
    if len(known) == 1:
        return first
    if first.kind not in ADDABLE:
        return None
    return Scores(
        first.kind,
        sum(scores.total for scores in known),
        trail=first.trail[:1],
        is_coarse=any(scores.is_coarse for scores in known),
        members=sum(scores.members for scores in known),
    )


def scaled(node: ir.Node, axis: int | None, reader: Reads) -> Scores | None:
    """Y = c a with a constant c > 0; also a quotient that is written as a product."""
    for place in (0, 1):
        factor = constant_operand(node, place)
        if factor is not None:
            return times(reader.read(node.inputs[1 - place], axis), factor)
    return handwritten.product(node, axis, reader)


def reduced(node: ir.Node, axis: int | None, reader: Reads) -> Scores | None:
    """The sum or mean over an axis of members."""
    source, axes = node.inputs[0], reduced_axes(node)
    if source is None or source.shape is None or axes is None:
        return None
    before = _any_axis(source, axes) if axis is None else kept_axis(node, axis)
    if before is None or (axis is not None and before in axes):
        return None
    stacked, weight = _weighted(source, axes)
    found = reader.read(stacked, before)
    if found is None or (axis is None and found.kind is not Kind.SIGMOID):
        return None
    sizes = [source.shape[place] for place in axes]
    if weight is None and node.op_type == "ReduceSum":
        weight = float(np.prod([size if isinstance(size, int) else np.nan for size in sizes]))
    if weight is not None and not weight > 0:
        return None
    members = any(size != 1 for size in sizes)
    total = found.total * (1.0 if weight is None else weight)
    return replace(found, total=total, logits=None if members else found.logits)


def _any_axis(source: ir.Value, reduced: Sequence[int]) -> int:
    """The class axis, or any, where one value an image is left: chances have none of their own."""
    found = class_axis(source)
    kept = (axis for axis in range(1, len(source.shape or ())) if axis not in reduced)
    return next(kept, 1) if found is None else found


def _weighted(source: ir.Value, axes: Sequence[int]) -> tuple[ir.Value, float | None]:
    """Members before constant weights along the reduced axes, and the sum of the weights."""
    node = source.producer()
    if node is None or node.op_type != "Mul" or source.shape is None:
        return source, None
    rank = source.shape.rank()
    for place in (0, 1):
        weights, other = constant_operand(node, place), node.inputs[1 - place]
        if weights is None or other is None or weights.size <= 1:
            continue
        if weights.astype(np.float64).min() < 0:
            continue
        wide = [axis + rank - weights.ndim for axis, size in enumerate(weights.shape) if size > 1]
        if wide == list(axes):
            return other, float(weights.sum())
    return source, None
