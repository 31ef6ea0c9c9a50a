"""Sums of products: where convolutions hold their weights, and how much nodes multiply."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import onnx_ir as ir

from heatproof.graphs.operators import families as of
from heatproof.graphs.operators.equations import read_equation
from heatproof.graphs.operators.traits import Trait, has

_KERNELS: Final[Mapping[str, int]] = MappingProxyType(
    {**dict.fromkeys((*of.CONVOLUTIONS, "ConvInteger"), 1), "QLinearConv": 3}
)
"""Position of the weights among the operands of a convolution."""


def kernel_of(node: ir.Node) -> ir.Value | None:
    """The weights of a convolution [C_out, C_in / group, ...], of a transposed one [C_in, ...].

    None for other operators, and where there are none.
    """
    if not has(node, Trait.CONVOLUTION):
        return None
    position = _KERNELS[node.op_type]
    return node.inputs[position] if position < len(node.inputs) else None


def multiply_adds_of(node: ir.Node) -> int | None:
    """Multiply-adds of a node, for all images of its operands; None if a size is open.

    Counted are convolutions and products of matrices; whatever else a node does is not.
    """
    return _COUNTS[node.op_type](node) if has(node, Trait.CONVOLUTION | Trait.PRODUCT) else 0


def _convolution(node: ir.Node) -> int | None:
    """Every weight is used once for each output position."""
    return _times(_elements(kernel_of(node)), _positions(node.outputs[0]))


def _transposed_convolution(node: ir.Node) -> int | None:
    """Every weight is used once for each input position."""
    return _times(_elements(kernel_of(node)), _positions(node.inputs[0]))


def _product_of_matrices(node: ir.Node) -> int | None:
    """Every element of the output is a sum over the inner axis of the first operand."""
    x = node.inputs[0]
    if x is None or not x.shape:
        return None
    inner = x.shape[-2 if node.attributes.get_int("transA", 0) else -1]
    return _times(_elements(node.outputs[0]), inner if isinstance(inner, int) else None)


def _sum_over_letters(node: ir.Node) -> int | None:
    """One for each choice of all indices and each factor behind the first."""
    shapes = [() if x is None or x.shape is None else tuple(x.shape) for x in node.inputs]
    try:
        equation = read_equation(node.attributes.get_string("equation", ""), [*map(len, shapes)])
        pairs = [zip(*pair, strict=True) for pair in zip(equation.terms, shapes, strict=True)]
        sizes = [(letter, size) for pair in pairs for letter, size in pair]
    except ValueError:  # an operand of unknown rank, or an equation of others
        return None
    longest: dict[str, int] = {}
    for letter, size in sizes:
        if not isinstance(size, int):
            return None
        longest[letter] = max(size, longest.get(letter, 1))  # an axis of 1 is broadcast
    return (len(shapes) - 1) * math.prod(longest.values())


def _positions(value: ir.Value | None) -> int | None:
    """Cells of all images, or None if their number is open."""
    sizes = _sizes(value)
    return None if sizes is None else math.prod(sizes[:1] + sizes[2:])  # channels are no cells


def _elements(value: ir.Value | None) -> int | None:
    """Number of elements, or None if a size is open."""
    sizes = _sizes(value)
    return None if sizes is None else math.prod(sizes)


def _sizes(value: ir.Value | None) -> list[int] | None:
    """The sizes, or None if one of them is open."""
    shape = None if value is None else value.shape
    sizes = [size for size in shape or () if isinstance(size, int)]
    return sizes if shape is not None and len(sizes) == len(shape) else None


def _times(*factors: int | None) -> int | None:
    known = [factor for factor in factors if factor is not None]
    return math.prod(known) if len(known) == len(factors) else None


_COUNTS: Final[Mapping[str, Callable[[ir.Node], int | None]]] = MappingProxyType(
    {
        **dict.fromkeys(("Conv", *of.INTEGER_CONVOLUTIONS), _convolution),
        "ConvTranspose": _transposed_convolution,
        **dict.fromkeys(("Gemm", "MatMul", *of.INTEGER_PRODUCTS), _product_of_matrices),
        "Einsum": _sum_over_letters,
    }
)
