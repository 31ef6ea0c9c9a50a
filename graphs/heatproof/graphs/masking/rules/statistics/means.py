"""Means over the visible cells of a tensor, along any of its axes.

Half precision is widened for them: the sum of a map overflows float16, its visible share falls
below the smallest number of float16.
"""

from collections.abc import Collection

import onnx_ir as ir

from heatproof.graphs.masking.options import GlobalPool
from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import Axes, Mask, Spatial
from heatproof.graphs.operators.emitter import Attributes

_HALVES = frozenset({ir.DataType.FLOAT16, ir.DataType.BFLOAT16})
_AXES_INPUT = {"ReduceSum": 13}  # opset from which axes are an input
_AXES_INPUT_OF_OTHERS = 18


def wide(value: ir.Value, scope: Scope) -> ir.Value:
    """The tensor in float32 where it is of half precision."""
    return cast(value, ir.DataType.FLOAT, scope) if value.dtype in _HALVES else value


def cast(value: ir.Value, dtype: ir.DataType | None, scope: Scope) -> ir.Value:
    """The tensor in another type."""
    if dtype is None or value.dtype == dtype:
        return value
    return scope.op("Cast", value, like=value, dtype=dtype, to=dtype.value)


def reduced(op_type: str, value: ir.Value, axes: Collection[int], scope: Scope) -> ir.Value:
    """A reduction that leaves axes of size 1."""
    listed = sorted(axes)
    dims = [1 if axis in axes else size for axis, size in enumerate(value.shape or ())]
    attributes: Attributes = {"keepdims": 1}
    operands = [value]
    if scope.op.opset >= _AXES_INPUT.get(op_type, _AXES_INPUT_OF_OTHERS):
        operands.append(scope.op.integers(*listed))
    else:
        attributes["axes"] = listed
    return scope.op(op_type, *operands, like=value, shape=dims, **attributes)


def mean_of_visible(
    visible: ir.Value, state: Spatial, axes: Collection[int], scope: Scope
) -> ir.Value:
    """The mean of the visible cells along axes, which stay with size 1; 0 where none is visible.

    The hidden cells of `visible` must be zeros.
    """
    mean = reduced("ReduceMean", visible, axes, scope)
    return divided(mean, share_along(state, axes, scope), state.axes, scope)


def share_along(state: Spatial, axes: Collection[int], scope: Scope) -> Mask:
    """The visible share along axes plus 1e-8, laid out as a mask with one cell along them."""
    rows, columns = state.axes.height in axes, state.axes.width in axes
    return scope.masks.guarded_share(state.mask, rows=rows, columns=columns)


def divided(value: ir.Value, share: Mask, axes: Axes, scope: Scope, root: float = 1) -> ir.Value:
    """A tensor divided by a share, or by a root of it."""
    divisor = scope.masks.view(share, axes, value.dtype or ir.DataType.FLOAT)
    if root != 1:
        exponent = scope.op.scalar(1 / root, divisor.dtype)
        divisor = scope.op("Pow", divisor, exponent, like=divisor)
    return scope.op("Div", value, divisor, like=value)


def is_renormalized(state: Spatial, scope: Scope) -> bool:
    """Whether means over space divide by the visible share; those of weights sum to one as is."""
    return scope.options.global_pool is GlobalPool.RENORMALISED and not state.weights
