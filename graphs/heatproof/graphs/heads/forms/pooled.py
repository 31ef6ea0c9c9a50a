"""Scores of places, pooled over the image: fully convolutional networks classify every cell."""

import onnx_ir as ir

from heatproof.graphs.heads.axes import kept_axis
from heatproof.graphs.heads.operands import Reads
from heatproof.graphs.heads.scores import Kind, Scores

_CHANNELS = 1


def averaged(node: ir.Node, axis: int | None, reader: Reads) -> Scores | None:
    """GlobalAveragePool and AveragePool: the mean over places, each of which has probabilities.

    Zeros of a padding that count as places make smaller numbers of them.
    """
    found = _of_places(node, axis, reader)
    if found is None or not _is_padded(node):
        return found
    return Scores(Kind.BOUNDED, trail=found.trail)


def _is_padded(node: ir.Node) -> bool:
    """Whether zeros may be among what is averaged."""
    attributes = node.attributes
    pads = any(attributes.get_ints("pads", ())) or "SAME" in attributes.get_string("auto_pad", "")
    return pads and bool(attributes.get_int("count_include_pad", 0))


def largest(node: ir.Node, axis: int | None, reader: Reads) -> Scores | None:
    """GlobalMaxPool and MaxPool: chances stay chances; maxima of a softmax have no known sum."""
    return _largest(_of_places(node, axis, reader))


def _of_places(node: ir.Node, axis: int | None, reader: Reads) -> Scores | None:
    """What is known at every place, of which the result has one number for each class."""
    if axis not in {None, _CHANNELS} or node.domain not in {"", "ai.onnx"}:
        return None
    found = reader.read(node.inputs[0], _CHANNELS)
    if found is None or (axis is None and found.kind is not Kind.SIGMOID):
        return None
    return Scores(found.kind, found.total, trail=found.trail, is_coarse=found.is_coarse)


def highest(node: ir.Node, axis: int | None, reader: Reads) -> Scores | None:
    """ReduceMax and ReduceMin, likewise."""
    if axis is not None:
        before = kept_axis(node, axis)
        return None if before is None else _largest(reader.read(node.inputs[0], before))
    found = reader.read(node.inputs[0], _CHANNELS)
    return None if found is None or found.kind is not Kind.SIGMOID else _largest(found)


def _largest(found: Scores | None) -> Scores | None:
    if found is None or found.kind not in {Kind.SOFTMAX, Kind.SIGMOID, Kind.BOUNDED}:
        return None
    kind = Kind.SIGMOID if found.kind is Kind.SIGMOID else Kind.BOUNDED
    return Scores(kind, found.total, trail=found.trail, is_coarse=found.is_coarse)
