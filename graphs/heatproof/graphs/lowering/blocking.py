"""Keeps the rewrite's own nodes in ONNX Runtime's blocked layout (NCHWc); matters for speed only.

Convolutions run there, and so do products and sums of two tensors of equal shape, but a product
with a mask of one channel does not: it would send both tensors through a reordering each time.
So masks and scales are spread over the channels first, by a 1 x 1 convolution with ones, which is
exact, and shared by all products of that width.
"""

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from heatproof.graphs.nodes.roles import Role, role_of
from heatproof.graphs.nodes.shapes import channels_of
from heatproof.graphs.operators.emitter import Emitter
from heatproof.graphs.operators.traits import Trait, has

LEAST_CHANNELS = 8
"""Fewer channels would be padded to a block."""


class BlockedTensors:
    """Knows which tensors stay in the blocked layout; each is followed to its sources once."""

    def __init__(self) -> None:
        self._known: dict[ir.Value | None, bool] = {None: False}

    def is_blocked(self, value: ir.Value | None) -> bool:
        """Whether a tensor stays in that layout after the convolutions that it comes from."""
        path = [(value, _sources(value))]
        while path and value not in self._known:
            last, sources = path[-1]
            fresh = next((x for x in sources or () if not self._known.get(x, False)), None)
            if sources is None or (fresh is not None and fresh in self._known):
                self._known.update(dict.fromkeys((x for x, _ in path), False))
            elif fresh is None:
                self._known[last] = True
                path.pop()
            else:
                path.append((fresh, _sources(fresh)))
        return self._known[value]


def _sources(value: ir.Value | None) -> Iterator[ir.Value | None] | None:
    """The operands that must be blocked for a tensor to be; None if it cannot be."""
    node = None if value is None else value.producer()
    if node is None:
        return None
    if role_of(node) is Role.SCALING:  # a convolution soon, if it reads a blocked tensor
        return iter(node.inputs[:1])
    if not has(node, Trait.BLOCKED):
        return None
    if has(node, Trait.WINDOW):
        return iter(())
    if has(node, Trait.POINTWISE | Trait.PER_CHANNEL) or node.op_type == "Resize":
        return iter(node.inputs[:1])  # the others are parameters
    return (
        None if any(map(is_one_cell, node.inputs)) and not is_one_cell(value) else iter(node.inputs)
    )


def is_one_cell(value: ir.Value | None) -> bool:
    """Whether a tensor has one number for each channel, [N, C, 1, 1]."""
    shape = None if value is None else value.shape
    return shape is not None and shape.rank() == 4 and list(shape)[2:] == [1, 1]


class Spreader:
    """Spreads values of one channel over many."""

    def __init__(self, op: Emitter, blocked: BlockedTensors) -> None:
        self._op = op
        self._known_blocked = blocked
        self._spread: dict[tuple[ir.Value, int, float], ir.Value] = {}

    def fitted(self, value: ir.Value, like: ir.Value) -> ir.Value:
        """`value` [N, 1, H, W], or the same with the channels of `like` if that is faster."""
        return value if channels_of(like) < LEAST_CHANNELS else self.over(value, channels_of(like))

    def over(self, value: ir.Value, channels: int, offset: float = 0.0) -> ir.Value:
        """`value` [N, 1, H, W], plus a number, in each of so many channels."""
        key = (value, channels, offset)
        if key not in self._spread:
            operands = [self._op.constant(np.ones((channels, 1, 1, 1)), value.dtype)]
            if offset:
                operands.append(self._op.constant(np.full(channels, offset), value.dtype))
            shape = value.shape
            dims = [] if shape is None else [shape[0], channels, *list(shape)[2:]]
            name = f"{value.name}_spread"
            self._spread[key] = self._op(
                "Conv", value, *operands, like=value, shape=dims, name=name
            )
        return self._spread[key]

    def added(self, value: ir.Value, to: ir.Value, name: str) -> ir.Value:
        """The sum of `value` [N, 1, H, W] and each channel of `to`, computed in place of `to`.

        ONNX Runtime lets the convolution that spreads the value add to the other operand, so that
        the value is never stored for all channels. It does so for the first operand, if nobody
        else reads that: hence weights of its own, or equal convolutions would become one.
        """
        channels = channels_of(to)
        ones = self._op.constant_of_its_own(np.ones((channels, 1, 1, 1)), value.dtype)
        spread = self._op("Conv", value, ones, like=to, name=f"{name}_spread")
        return self._op("Add", spread, to, like=to, name=name)

    def blocked(self, value: ir.Value) -> ir.Value:
        """The same tensor in the blocked layout."""
        channels = channels_of(value)
        if channels < LEAST_CHANNELS or self._known_blocked.is_blocked(value):
            return value
        return scaled(value, 1.0, self._op)


def scaled(value: ir.Value, factor: float, op: Emitter, offset: float = 0.0) -> ir.Value:
    """The product of a tensor and a number, plus another number, in the blocked layout."""
    channels = channels_of(value)
    operands = [op.constant(np.full((channels, 1, 1, 1), factor), value.dtype)]
    if offset:
        operands.append(op.constant(np.full(channels, offset), value.dtype))
    return op("Conv", value, *operands, like=value, group=channels)
