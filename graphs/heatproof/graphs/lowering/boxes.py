"""Means over each cell's 3 x 3 surroundings, in the form that ONNX Runtime computes fastest."""

import numpy as np
import onnx_ir as ir

from heatproof.graphs.lowering.blocking import LEAST_CHANNELS
from heatproof.graphs.nodes.shapes import channels_of
from heatproof.graphs.operators.emitter import Attributes, Emitter

SLOW_AVERAGE_POOL = 19
"""Opset from which ONNX Runtime has no fast average pool outside its blocked layout."""

_WINDOW: Attributes = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}


def fast_box_means(op: Emitter, value: ir.Value) -> ir.Value | None:
    """The means of a map as another operator than a pool; None where the pool is fastest."""
    channels = channels_of(value)
    if channels < LEAST_CHANNELS and op.opset < SLOW_AVERAGE_POOL:
        return None
    if channels == 1:
        return _mean_of_shifted(op, value)
    return weighted_box_means(op, value, 1 / 9)


def weighted_box_means(op: Emitter, value: ir.Value, weight: float) -> ir.Value:
    """The means of a map, in which each cell itself counts with a weight, by a convolution."""
    channels = channels_of(value)
    kernel = np.full((channels, 1, 3, 3), 1 / 9)
    kernel[:, :, 1, 1] = weight
    weights = op.constant(kernel, value.dtype)
    return op("Conv", value, weights, like=value, group=channels, **_WINDOW)


def _mean_of_shifted(op: Emitter, value: ir.Value) -> ir.Value:
    """The sum of shifted copies, rows first; a convolution would compute a block of channels."""
    total = value
    for axis in (2, 3):
        total = _sum_of_shifted(op, total, axis)
    return op("Mul", total, op.scalar(1 / 9, value.dtype), like=value)


def _sum_of_shifted(op: Emitter, value: ir.Value, axis: int) -> ir.Value:
    sizes = list(value.shape or ())
    size = sizes[axis]
    if not isinstance(size, int):
        message = f"masks have static sizes, not {value.shape}"
        raise TypeError(message)
    sizes[axis] = size + 2
    pads = op.integers(*(int(place % 4 == axis) for place in range(8)))
    padded = op("Pad", value, pads, like=value, shape=sizes)
    before, here, after = (
        op(
            "Slice", padded, op.integers(shift), op.integers(shift + size), op.integers(axis),
            like=value,
        )
        for shift in range(3)
    )  # fmt: skip
    return op("Add", op("Add", before, here, like=value), after, like=value)
