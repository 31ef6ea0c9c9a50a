"""Counts the multiply-adds of a model."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import onnx_ir as ir


def multiply_adds(model: ir.Model, images: int) -> int:
    """Multiply-adds of convolutions and matrix products for one image; 0 if a size is open.

    The model is prepared and its batch is fixed at `images`: where the batch lies in a tensor is
    the model's own choice.
    """
    counts = [_COUNTS[node.op_type](node) for node in model.graph if node.op_type in _COUNTS]
    if None in counts:
        return 0
    return sum(count for count in counts if count is not None) // images


def _positions(value: ir.Value | None) -> int | None:
    """Cells of all images, or None if their number is open."""
    channels = None if value is None or value.shape is None else value.shape[1]
    elements = _product(value)
    return elements // channels if elements and isinstance(channels, int) else elements


def _product(value: ir.Value | None) -> int | None:
    """Product of the sizes, or None if one of them is open."""
    sizes = None if value is None else value.shape
    if sizes is None or not all(isinstance(size, int) for size in sizes):
        return None
    return math.prod(size for size in sizes if isinstance(size, int))


def _times(*factors: int | None) -> int | None:
    known = [factor for factor in factors if factor is not None]
    return math.prod(known) if len(known) == len(factors) else None


def _convolution(weights: int) -> Callable[[ir.Node], int | None]:
    """Every weight is used once for each output position."""
    return lambda node: _times(_product(node.inputs[weights]), _positions(node.outputs[0]))


def _transposed_convolution(node: ir.Node) -> int | None:
    """Every weight is used once for each input position."""
    return _times(_product(node.inputs[1]), _positions(node.inputs[0]))


def _product_of_matrices(node: ir.Node) -> int | None:
    """Every element of the output is a sum over the inner axis of the first operand."""
    x = node.inputs[0]
    if x is None or x.shape is None:
        return None
    inner = x.shape[-2 if node.attributes.get_int("transA", 0) else -1]
    return _times(_product(node.outputs[0]), inner if isinstance(inner, int) else None)


_COUNTS: Mapping[str, Callable[[ir.Node], int | None]] = MappingProxyType(
    {
        "Conv": _convolution(weights=1),
        "ConvInteger": _convolution(weights=1),
        "FusedConv": _convolution(weights=1),
        "QLinearConv": _convolution(weights=3),
        "ConvTranspose": _transposed_convolution,
        "Gemm": _product_of_matrices,
        "MatMul": _product_of_matrices,
    }
)
