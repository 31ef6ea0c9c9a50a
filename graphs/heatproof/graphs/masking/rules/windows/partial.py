"""Sums over windows, scaled by all cells of a window over the visible ones."""

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from heatproof.graphs.masking.rules.statistics.means import cast
from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import Mask
from heatproof.graphs.nodes.shapes import channels_of
from heatproof.graphs.operators.emitter import Attributes, attributes_of


def scale_sums(node: ir.Node, before: Mask, after: Mask, scope: Scope) -> None:
    """Partial convolution: `W * (X.M) . sum(1) / sum(M) + b`, the sums over each window.

    After Liu et al. 2018, arXiv 1804.07723. There all cells of the kernel are counted; here those
    that hold some part of the image, so that nothing changes where all of them are visible.
    """
    output, weights = node.outputs[0], node.inputs[1]
    attributes = attributes_of(node)
    sums = scope.op(node.op_type, node.inputs[0], weights, like=output, **attributes)
    ones = scope.op.constant(np.ones((1, 1, *_kernel(weights))), ir.DataType.FLOAT)
    single: Attributes = {**attributes, "group": 1}

    def counted(image: ir.Value) -> ir.Value:
        shape = (*(image.shape or ())[:2], *after.size)  # the whole image is one for all
        return scope.op(node.op_type, image, ones, like=image, shape=shape, **single)

    factor = seen_ratio(before, counted, scope)
    scaled = scope.op("Mul", sums, cast(factor, output.dtype, scope), like=output)
    scope.replace_output(node, _with_bias(scaled, node, scope))


def _with_bias(sums: ir.Value, node: ir.Node, scope: Scope) -> ir.Value:
    bias = node.inputs[2] if node.inputs[2:] else None
    if bias is None:
        return sums
    channels = channels_of(node.outputs[0])
    column = scope.op(
        "Reshape", bias, scope.op.integers(1, -1, 1, 1), like=bias, shape=(1, channels, 1, 1)
    )
    return scope.op("Add", sums, column, like=node.outputs[0])


def seen_ratio(mask: Mask, slid: Callable[[ir.Value], ir.Value], scope: Scope) -> ir.Value:
    """What an operator makes of the whole image over what it makes of the visible part.

    1 where it sees nothing: such windows are hidden, or hold nothing but border.
    """
    whole = slid(scope.op.constant(mask.image[None, None], ir.DataType.FLOAT))
    seen = slid(scope.masks.of_image(mask))
    zero, one = (scope.op.scalar(number, seen.dtype) for number in (0.0, 1.0))
    some = scope.op("Greater", seen, zero, like=seen, dtype=ir.DataType.BOOL)
    ratio = scope.op("Div", whole, seen, like=seen)
    return scope.op("Where", some, ratio, one, like=seen)


def _kernel(weights: ir.Value | None) -> tuple[int, ...]:
    shape = () if weights is None or weights.shape is None else weights.shape[2:]
    return tuple(size for size in shape if isinstance(size, int))
