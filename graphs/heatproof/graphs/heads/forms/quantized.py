"""Scores in units of a scale: quantized, added, multiplied and joined by operators of that kind.

ONNX Runtime's quantizer writes them in its format of operators. Their results have no shape, which
inference knows for ai.onnx alone; the class axis stays where it is.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from heatproof.graphs.heads.operands import ADDABLE, Reads
from heatproof.graphs.heads.scores import Kind, Scores
from heatproof.graphs.nodes.constants import constant_operand

_TRIPLE: Final = 3
"""A quantized operand takes three inputs: codes, scale, zero point."""


def added(node: ir.Node, axis: int | None, reader: Reads) -> Scores | None:
    """QLinearAdd: members of one kind; their sums and bounds add up."""
    found = [_operand(node, place, axis, reader) for place in (0, _TRIPLE)]
    known = [scores for scores in found if scores is not None]
    if len(known) < len(found) or len({scores.kind for scores in known}) > 1:
        return None
    total = sum(scores.total for scores in known)
    members = sum(scores.members for scores in known)
    return _result(node, 2 * _TRIPLE, known[0], total, members)


def multiplied(node: ir.Node, axis: int | None, reader: Reads) -> Scores | None:
    """QLinearMul by one positive number."""
    for place in (0, _TRIPLE):
        factor = _number(node, place)
        if factor is None:
            continue
        found = _operand(node, _TRIPLE - place, axis, reader)
        if found is None or factor <= 0:
            return None
        return _result(node, 2 * _TRIPLE, found, found.total * factor, found.members)
    return None


def joined(node: ir.Node, axis: int | None, reader: Reads) -> Scores | None:
    """QLinearConcat along an axis of members, or of classes with a probability each."""
    along = node.attributes.get_int("axis", 0)
    if axis is None or along < 0:
        return None  # the rank is not known
    found = [_operand(node, place, axis, reader) for place in range(2, len(node.inputs), _TRIPLE)]
    known = [scores for scores in found if scores is not None]
    if len(known) < len(found) or not _are_alike(known):
        return None
    if along == axis and known[0].kind is not Kind.SIGMOID:
        return Scores(Kind.BOUNDED, trail=known[0].trail)
    members = sum(scores.members for scores in known) if along != axis else 1
    return _result(node, 0, known[0], known[0].total, members)


def _are_alike(found: Sequence[Scores]) -> bool:
    totals = [scores.total for scores in found]
    same = bool(totals) and np.allclose(totals, totals[0], rtol=1e-5, atol=0)
    return same and len({scores.kind for scores in found}) == 1


def _operand(node: ir.Node, place: int, axis: int | None, reader: Reads) -> Scores | None:
    """What is known of a quantized operand, in its own units and not in those of its scale."""
    scale = constant_operand(node, place + 1)
    if scale is None or scale.size != 1 or constant_operand(node, place) is not None:
        return None
    found = reader.read(node.inputs[place], axis)
    if found is None or found.kind not in ADDABLE:
        return None
    return replace(found, total=found.total * _single(scale))


def _number(node: ir.Node, place: int) -> float | None:
    """The one number that a quantized operand holds; None if it is computed, or several."""
    codes, scale, zero = (constant_operand(node, place + at) for at in range(_TRIPLE))
    if codes is None or scale is None or codes.size != 1 or scale.size != 1:
        return None
    return (_single(codes) - (0.0 if zero is None else _single(zero))) * _single(scale)


def _result(node: ir.Node, place: int, found: Scores, total: float, members: int) -> Scores | None:
    """Scores in units of the scale at an input."""
    scale = constant_operand(node, place)
    if scale is None or scale.size != 1 or not scale.min() > 0:
        return None
    return Scores(
        found.kind,
        total / _single(scale),
        trail=found.trail[:1] if members > 1 else found.trail,
        is_coarse=True,
        members=members,
    )


def _single(array: NDArray[np.generic]) -> float:
    return float(array.astype(np.float64).reshape(-1)[0])
