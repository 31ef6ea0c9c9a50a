"""Scores that are put together from parts, or taken apart."""

from collections.abc import Sequence
from typing import Final

import onnx_ir as ir

from heatproof.graphs.heads.axes import class_axis, holds_one_value
from heatproof.graphs.heads.operands import Reads
from heatproof.graphs.heads.scores import Kind, Scores
from heatproof.graphs.nodes.constants import constant_operand

_VIEWS: Final = frozenset({"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze"})


def ranked(node: ir.Node, axis: int | None, reader: Reads) -> Scores | None:
    """TopK: probabilities whose classes are lost."""
    found = reader.read(node.inputs[0], axis)
    return None if found is None else Scores(Kind.BOUNDED, trail=found.trail)


def chosen(node: ir.Node, axis: int | None, reader: Reads) -> Scores | None:
    """Where: keeps values that replace NaN and infinity alone; else some probabilities are lost."""
    condition = None if node.inputs[0] is None else node.inputs[0].producer()
    held = [constant_operand(node, place) is not None for place in (1, 2)]
    found = [
        reader.read(node.inputs[place], axis)
        for place, is_constant in zip((1, 2), held, strict=True)
        if not is_constant
    ]
    if any(scores is None for scores in found) or not found:
        return None
    is_guard = condition is not None and condition.op_type in {"IsNaN", "IsInf"}
    return found[0] if is_guard and len(found) == 1 else Scores(Kind.BOUNDED)


def branched(node: ir.Node, index: int, axis: int | None, reader: Reads) -> Scores | None:
    """If: what both branches say of an output."""
    found = [
        reader.read(attribute.as_graph().outputs[index], axis)
        for attribute in node.attributes.values()
        if attribute.type == ir.AttributeType.GRAPH
    ]
    known = [scores for scores in found if scores is not None]
    if len(known) < len(found) or not known:
        return None
    if len({(scores.kind, scores.total) for scores in known}) > 1:
        return Scores(Kind.BOUNDED, trail=known[0].trail) if _are_probable(known) else None
    coarse = any(scores.is_coarse for scores in known)
    return Scores(known[0].kind, known[0].total, trail=known[0].trail, is_coarse=coarse)


def _are_probable(found: Sequence[Scores]) -> bool:
    probable = {Kind.SOFTMAX, Kind.SIGMOID, Kind.BOUNDED}
    return {scores.kind for scores in found} <= probable


def joined(node: ir.Node, axis: int | None, reader: Reads) -> Scores | None:
    """Concat along the classes, or along an axis of members."""
    shape = node.outputs[0].shape
    if shape is None or axis is None:
        return None
    along = node.attributes.get_int("axis", 0) % shape.rank()
    if along == axis:
        return _joined_classes(node, axis, reader)
    found = [reader.read(value, axis) for value in node.inputs]
    known = [scores for scores in found if scores is not None]
    if len(known) < len(found) or len({(scores.kind, scores.total) for scores in known}) != 1:
        return None
    coarse = any(scores.is_coarse for scores in known)
    return Scores(
        known[0].kind,
        known[0].total,
        trail=known[0].trail[:1],
        is_coarse=coarse,
        members=sum(scores.members for scores in known),
    )


def _joined_classes(node: ir.Node, axis: int, reader: Reads) -> Scores | None:
    found = [
        reader.read(value, None if value is not None and holds_one_value(value) else axis)
        for value in node.inputs
    ]
    known = [scores for scores in found if scores is not None]
    if len(known) < len(found) or not known:
        return None
    coarse = any(scores.is_coarse for scores in known)
    if all(scores.kind is Kind.SIGMOID and scores.total == 1 for scores in known):
        kind = Kind.SOFTMAX if _are_complements(node.inputs) else Kind.SIGMOID
        return Scores(kind, trail=known[-1].trail, is_coarse=coarse)
    return Scores(Kind.BOUNDED) if _are_probable(known) else None


def _are_complements(values: Sequence[ir.Value | None]) -> bool:
    """Whether two values are p and 1 - p."""
    return len(values) == 2 and any(
        _is_complement(values[place], values[1 - place]) for place in (0, 1)
    )


def _is_complement(value: ir.Value | None, other: ir.Value | None) -> bool:
    value, other = _behind_views(value), _behind_views(other)
    node = None if value is None else value.producer()
    return node is not None and node.op_type == "Sub" and node.inputs[1] is other


def _behind_views(value: ir.Value | None) -> ir.Value | None:
    """One value an image, before its axes of size 1 were moved."""
    node = None if value is None else value.producer()
    while node is not None and node.op_type in _VIEWS:
        value = node.inputs[0]
        node = None if value is None else value.producer()
    return value


def sliced(node: ir.Node, axis: int | None, reader: Reads) -> Scores | None:
    """Slice: some classes, or some members."""
    axes = constant_operand(node, 3)
    held = node.attributes.get_ints("axes", ()) if axes is None else tuple(axes.reshape(-1))
    if not held:
        return _taken(node, axis, reader, along=None, dropped=False)
    rank = len(node.outputs[0].shape or ())
    if len(held) != 1 or not rank:
        return None
    return _taken(node, axis, reader, along=int(held[0]) % rank, dropped=False)


def gathered(node: ir.Node, axis: int | None, reader: Reads) -> Scores | None:
    """Gather: some classes, or some members; a single index takes the axis away."""
    source, indices = node.inputs[0], constant_operand(node, 1)
    if source is None or source.shape is None or indices is None or indices.ndim > 1:
        return None
    along = node.attributes.get_int("axis", 0) % source.shape.rank()
    return _taken(node, axis, reader, along=along, dropped=not indices.ndim)


def split(node: ir.Node, axis: int | None, reader: Reads) -> Scores | None:
    """Split: some classes, or some members."""
    rank = len(node.outputs[0].shape or ())
    along = node.attributes.get_int("axis", 0) % rank if rank else None
    return _taken(node, axis, reader, along=along, dropped=False)


def _taken(
    node: ir.Node, axis: int | None, reader: Reads, *, along: int | None, dropped: bool
) -> Scores | None:
    """What is left of the scores after a part was taken along an axis."""
    source = node.inputs[0]
    if source is None:
        return None
    before = class_axis(source) if axis is None else axis
    if axis is not None and dropped and along is not None and along <= axis:
        before = axis + 1
    found = reader.read(source, before)
    if found is None or found.kind not in {Kind.SOFTMAX, Kind.SIGMOID}:
        return found if found is not None and found.kind is Kind.BOUNDED else None
    if axis is None:
        # One class of several: its probability alone.
        return Scores(Kind.SIGMOID, found.total, trail=found.trail, is_coarse=found.is_coarse)
    if along is not None and along != before:
        return Scores(found.kind, found.total, trail=found.trail, is_coarse=found.is_coarse)
    kind = Kind.SIGMOID if found.kind is Kind.SIGMOID else Kind.BOUNDED
    return Scores(kind, found.total, trail=found.trail, is_coarse=found.is_coarse)
