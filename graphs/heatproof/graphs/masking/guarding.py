"""Makes a mask that is not binary loud: a graph cannot raise, but NaN is seen.

Layer masking hides a cell or does not. Logits for a mask in between would look likely and belong
to another mask than the caller's.
"""

from collections.abc import Iterable, Sequence

import onnx_ir as ir

from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.operators.emitter import Dim

_AXES_AS_INPUT = 18  # opset from which ReduceL1 takes its axes as an input


def alarm(scope: Scope, visibility: ir.Value, wanted: ir.Value) -> ir.Value:
    """sqrt(-sum |visibility - wanted|), [N, 1, 1, 1]: -0 for images where they agree, else NaN.

    It is NaN also where the visibility is NaN or infinite, whatever is wanted.
    """
    error = scope.op("Sub", visibility, wanted, like=visibility, name="mask_error")
    total = _total(scope, error, range(1, 4), (scope.batch, 1, 1, 1))
    negative = scope.op("Neg", total, like=total)
    return scope.op("Sqrt", negative, like=total, name="mask_alarm")


def guard(graph: ir.Graph, indices: Iterable[int], scope: Scope, alarm: ir.Value) -> None:
    """Adds the alarm to floating outputs; -0 changes no bit of them."""
    guarded: dict[ir.Value, ir.Value] = {}
    for index in indices:
        value = graph.outputs[index]
        if value.dtype is not None and value.dtype.is_floating_point():
            if value not in guarded:
                guarded[value] = _guarded(value, scope, alarm)
            graph.outputs[index] = guarded[value]


def _guarded(value: ir.Value, scope: Scope, alarm: ir.Value) -> ir.Value:
    """The output under its own name; no runtime adds bfloat16 on a processor."""
    if value.dtype is ir.DataType.BFLOAT16:
        wide = _cast(value, ir.DataType.FLOAT, scope)
        total = scope.op("Add", wide, _fitted(alarm, wide, scope), like=wide)
        shown = _cast(total, value.dtype, scope)
    else:
        shown = scope.op("Add", value, _fitted(alarm, value, scope), like=value)
    value.name, shown.name = f"{value.name}_unguarded", value.name
    return shown


def _cast(value: ir.Value, dtype: ir.DataType, scope: Scope) -> ir.Value:
    return scope.op("Cast", value, like=value, dtype=dtype, to=dtype.value)


def _fitted(alarm: ir.Value, value: ir.Value, scope: Scope) -> ir.Value:
    """The alarm as it broadcasts against an output: image by image if it has a row for each."""
    shape, dtype = value.shape, value.dtype or ir.DataType.FLOAT
    rank = 0 if shape is None else shape.rank()
    dims = (0, *(1,) * (rank - 1))
    sizes: tuple[Dim, ...] = (scope.batch, *dims[1:])
    if shape is None or rank == 0 or shape[0] != scope.batch:
        alarm = _total(scope, alarm, range(4), (1, 1, 1, 1))
        dims = sizes = (1,) * rank
    if dtype != alarm.dtype:
        alarm = _cast(alarm, dtype, scope)
    return scope.op("Reshape", alarm, scope.op.integers(*dims), like=alarm, shape=sizes)


def _total(scope: Scope, value: ir.Value, axes: Sequence[int], shape: tuple[Dim, ...]) -> ir.Value:
    """Sum |x| over axes, which stay as 1."""
    if scope.op.opset >= _AXES_AS_INPUT:
        return scope.op("ReduceL1", value, scope.op.integers(*axes), like=value, shape=shape)
    return scope.op("ReduceL1", value, like=value, shape=shape, axes=tuple(axes))
