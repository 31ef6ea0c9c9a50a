"""Keeps the rewrite's own nodes in ONNX Runtime's blocked layout (NCHWc); matters for speed only.

Convolutions run there, and so do products and sums of two tensors of equal shape, but a product
with a mask of one channel does not: it would send both tensors through a reordering each time.
So masks and scales are spread over the channels first, by a 1 x 1 convolution with ones, which is
exact, and shared by all products of that width.
"""

import numpy as np
import onnx_ir as ir

from heatproof.graphs.masking.emission import Emitter

LEAST_CHANNELS = 8
"""Fewer channels would be padded to a block."""

_SEARCHED = 6  # nodes to look back; longer chains without a convolution do not occur
_ACTIVATIONS = frozenset({"HardSwish", "LeakyRelu", "Relu", "Sigmoid", "Tanh", "Clip"})
_KEEPS_FIRST = _ACTIVATIONS | {"BatchNormalization"}
_KEEPS_ALL = frozenset({"Add", "Concat", "Mul", "Sum"})
_STARTS = frozenset({"Conv", "MaxPool"})


class Spreader:
    """Spreads values of one channel over many."""

    def __init__(self, emit: Emitter) -> None:
        self._emit = emit
        self._spread: dict[tuple[ir.Value, int], ir.Value] = {}

    def fitted(self, value: ir.Value, like: ir.Value) -> ir.Value:
        """`value` [N, 1, H, W], or the same with the channels of `like` if that is faster."""
        channels = channels_of(like)
        if channels < LEAST_CHANNELS:
            return value
        if (value, channels) not in self._spread:
            ones = self._emit.constant(np.ones((channels, 1, 1, 1)), value.dtype)
            shape = value.shape
            dims = [] if shape is None else [shape[0], channels, *list(shape)[2:]]
            name = f"{value.name}_spread"
            self._spread[value, channels] = self._emit.node(
                "Conv", value, ones, like=value, shape=dims, name=name
            )
        return self._spread[value, channels]

    def blocked(self, value: ir.Value) -> ir.Value:
        """The same tensor in the blocked layout."""
        channels = channels_of(value)
        if channels < LEAST_CHANNELS or is_blocked(value):
            return value
        ones = self._emit.constant(np.ones((channels, 1, 1, 1)), value.dtype)
        return self._emit.node("Conv", value, ones, like=value, attributes={"group": channels})


def is_blocked(value: ir.Value | None, searched: int = _SEARCHED) -> bool:
    """Whether a tensor stays in the blocked layout after the convolutions that it comes from."""
    node = None if value is None else value.producer()
    if node is None or not searched:
        return False
    if node.op_type in _STARTS:
        return True
    if node.op_type in _KEEPS_FIRST:
        return is_blocked(node.inputs[0], searched - 1)
    return node.op_type in _KEEPS_ALL and all(
        is_blocked(operand, searched - 1) for operand in node.inputs
    )


def channels_of(value: ir.Value) -> int:
    """Size of axis 1; 0 if it is not static."""
    size = 0 if value.shape is None or value.shape.rank() < 2 else value.shape[1]
    return size if isinstance(size, int) else 0
