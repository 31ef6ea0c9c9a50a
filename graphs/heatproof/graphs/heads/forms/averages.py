"""Members' scores that a product with constant weights averages, and classes that it adds up."""

from dataclasses import replace
from typing import Final

import numpy as np
import onnx_ir as ir

from heatproof.graphs.heads.mixing import Mixing, mixing
from heatproof.graphs.heads.operands import ADDABLE, Reads
from heatproof.graphs.heads.scores import Kind, Scores

_EQUAL: Final = 1e-5
"""Relative difference of sums of weights in float32."""


def mixed(node: ir.Node, axis: int | None, reader: Reads) -> Scores | None:
    """Y = sum over k of w[k] x[k] with weights that are never negative.

    1. Over an axis of members: sums and bounds times the sum of the weights.
    2. Over the classes, into other classes, with equal shares for all: likewise.
    3. Over members of one value an image: likewise; of a softmax, if classes are added up.
    """
    found = mixing(node)
    if found is None or not found.summed or found.has_bias() or not found.is_never_negative():
        return None
    if axis is None:
        return _of_one_value(found, reader)
    origin = found.origins[axis] if axis < len(found.origins) else None
    if origin is None:
        return _of_classes(found, reader)
    if len(found.weights) > 1:
        return None
    return _times(reader.read(found.source, origin), float(found.weights.sum()))


def _of_one_value(found: Mixing, reader: Reads) -> Scores | None:
    if len(found.summed) != 1 or len(found.weights) > 1:
        return None
    members = reader.read(found.source, found.summed[0])
    if members is not None and members.kind is Kind.SOFTMAX:
        if not set(np.unique(found.weights)) <= {0.0, 1.0}:
            return None  # an expected value, say
        return replace(members, kind=Kind.SIGMOID, logits=None)
    return _times(members, float(found.weights.sum()))


def _of_classes(found: Mixing, reader: Reads) -> Scores | None:
    """Each class of the operand must give all of itself away, or each result take equal shares."""
    if len(found.summed) != 1:
        return None
    scores = reader.read(found.source, found.summed[0])
    if scores is None or scores.kind not in ADDABLE:
        return None
    shares = found.weights.sum(axis=0 if scores.kind is Kind.SOFTMAX else 1)
    if not np.allclose(shares, shares[0], rtol=_EQUAL, atol=0):
        return None
    return _times(scores, float(shares[0]))


def _times(scores: Scores | None, weight: float) -> Scores | None:
    if scores is None or scores.kind not in ADDABLE or not weight > 0:
        return None
    return replace(scores, total=scores.total * weight, logits=None)
