"""Products of a tensor with constants: which of its axes are summed over, by which weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Final

import numpy as np
import onnx_ir as ir
from jaxtyping import Float64

from heatproof.graphs.nodes.constants import constant_operand

_MATRIX: Final = 2
_BIAS: Final = 2
"""Position of the operand that Gemm and Conv add."""


@dataclass(frozen=True, slots=True, eq=False)
class Mixing:
    """Y = sum over k of weights[o, k] x[k] + bias, for every place of the axes that stay.

    Attributes:
        source: the tensor x.
        place: which operand it is.
        weights: one row for each output, one column for each element that is summed over.
        least: smallest bias.
        most: largest bias.
        summed: axes of x that are summed over; () if they are only a part of the sum, as where a
            convolution slides.
        origins: for each axis of y the axis of x that it was, or None for the outputs.
    """

    source: ir.Value
    place: int
    weights: Float64[np.ndarray, "outputs summed"]
    least: float = 0.0
    most: float = 0.0
    summed: tuple[int, ...] = ()
    origins: tuple[int | None, ...] = ()

    def is_never_negative(self) -> bool:
        """Whether weights and bias are never negative."""
        return bool(self.weights.min(initial=0) >= 0 and self.least >= 0)

    def has_bias(self) -> bool:
        """Whether anything is added."""
        return self.least != 0 or self.most != 0

    def sums(self) -> tuple[Float64[np.ndarray, "outputs"], Float64[np.ndarray, "outputs"]]:
        """Sums of the positive and of the negative weights of each output."""
        return self.weights.clip(min=0).sum(axis=1), self.weights.clip(max=0).sum(axis=1)


def mixing(node: ir.Node) -> Mixing | None:
    """How a MatMul, Gemm, Conv or Einsum mixes one computed operand by constants; None if not."""
    rule = _RULES.get(node.op_type)
    return None if rule is None or node.domain else rule(node)


def _rank(value: ir.Value | None) -> int:
    return -1 if value is None or value.shape is None else value.shape.rank()


def _matrix_product(node: ir.Node) -> Mixing | None:
    for place in (0, 1):
        held, source = constant_operand(node, 1 - place), node.inputs[place]
        rank = _rank(source)
        if held is None or source is None or not 0 < held.ndim <= max(rank, _MATRIX):
            continue
        if prod(held.shape[:-_MATRIX]) != 1 or rank < _MATRIX:
            return None
        matrix = held.astype(np.float64).reshape(held.shape[-_MATRIX:])
        summed = rank - 1 if place == 0 else rank - _MATRIX
        axes: list[int | None] = list(range(rank))
        if held.ndim == 1:
            del axes[summed]
            return Mixing(source, place, matrix[None], summed=(summed,), origins=tuple(axes))
        axes[summed] = None
        weights = matrix.T if place == 0 else matrix
        return Mixing(source, place, weights, summed=(summed,), origins=tuple(axes))
    return None


def _gemm(node: ir.Node) -> Mixing | None:
    held, source, attributes = constant_operand(node, 1), node.inputs[0], node.attributes
    if held is None or source is None or attributes.get_int("transA", 0) != 0:
        return None
    bias = _bias(node, attributes.get_float("beta", 1.0))
    if bias is None:
        return None
    matrix = held.astype(np.float64) * attributes.get_float("alpha", 1.0)
    weights = matrix if attributes.get_int("transB", 0) != 0 else matrix.T
    return Mixing(source, 0, weights, *bias, summed=(1,), origins=(0, None))


def _convolution(node: ir.Node) -> Mixing | None:
    held, source = constant_operand(node, 1), node.inputs[0]
    bias = _bias(node, 1.0)
    if held is None or source is None or bias is None:
        return None
    weights = held.astype(np.float64).reshape(len(held), -1)
    summed = _covered(node, source, held.shape)
    origins = tuple(None if axis == 1 else axis for axis in range(held.ndim)) if summed else ()
    return Mixing(source, 0, weights, *bias, summed=summed, origins=origins)


def _covered(node: ir.Node, source: ir.Value, kernel: tuple[int, ...]) -> tuple[int, ...]:
    """The axes that a kernel covers from end to end; () if it slides along one."""
    attributes = node.attributes
    pads = attributes.get_ints("pads", ())
    padded = any(pads) or attributes.get_string("auto_pad", "NOTSET") not in {"NOTSET", "VALID"}
    if padded or attributes.get_int("group", 1) != 1 or source.shape is None:
        return ()
    if any(stride != 1 for stride in attributes.get_ints("strides", ())):
        return ()
    wide = [axis for axis, size in enumerate(kernel) if axis > 1 and size > 1]
    if any(source.shape[axis] != kernel[axis] for axis in wide):
        return ()
    return (1, *wide)


def _bias(node: ir.Node, factor: float) -> tuple[float, float] | None:
    """The ends of what is added; None if it is computed."""
    if len(node.inputs) <= _BIAS or node.inputs[_BIAS] is None:
        return 0.0, 0.0
    held = constant_operand(node, _BIAS)
    if held is None or not held.size:
        return None
    numbers = held.astype(np.float64) * factor
    return float(numbers.min()), float(numbers.max())


def _einsum(node: ir.Node) -> Mixing | None:
    """Of two operands; letters that only one of them has are not summed over."""
    terms, _, result = node.attributes.get_string("equation", "").replace(" ", "").partition("->")
    letters = terms.split(",")
    if len(letters) != len(node.inputs) or len(letters) != _MATRIX or not result or "." in terms:
        return None
    for place in (0, 1):
        held, source = constant_operand(node, 1 - place), node.inputs[place]
        mine, theirs = letters[place], letters[1 - place]
        if held is None or source is None or len(set(mine)) < len(mine):
            continue
        summed = [letter for letter in mine if letter not in result]
        if set(theirs) - set(result) != set(summed) or len(set(theirs)) < len(theirs):
            return None
        kept = [letter for letter in theirs if letter in result]
        order = [theirs.index(letter) for letter in (*kept, *summed)]
        columns = prod(held.shape[theirs.index(letter)] for letter in summed)
        weights = held.astype(np.float64).transpose(order).reshape(-1, columns)
        origins = tuple(
            mine.index(letter) if letter in mine and letter not in kept else None
            for letter in result
        )
        axes = tuple(mine.index(letter) for letter in summed)
        return Mixing(source, place, weights, summed=axes, origins=origins)
    return None


_RULES: Final[Mapping[str, Callable[[ir.Node], Mixing | None]]] = {
    "MatMul": _matrix_product,
    "Gemm": _gemm,
    "Conv": _convolution,
    "Einsum": _einsum,
}
