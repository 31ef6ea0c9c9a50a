"""Quantisation with constant scales is pointwise; fills work on the real numbers behind it."""

import onnx_ir as ir

from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import Spatial
from heatproof.graphs.masking.table import RULES

_VERSIONS = (10, 13, 19, 21, 23, 24, 25, 28)


@RULES.rule("QuantizeLinear", *_VERSIONS)
def quantization(node: ir.Node, scope: Scope) -> Spatial:
    """round(X / scale) + zero point, each cell for itself."""
    state = _pointwise(node, scope)
    output = node.outputs[0]
    readers = {reader.op_type for reader, _ in output.uses()}
    if readers - {"DequantizeLinear"} and not _is_zero(node):
        raise scope.refusal(
            node, f"its zero point is not 0 and {', '.join(sorted(readers))} computes with integers"
        )
    return state


@RULES.rule("DequantizeLinear", *_VERSIONS)
def dequantization(node: ir.Node, scope: Scope) -> Spatial:
    """(X - zero point) . scale, each cell for itself."""
    return _pointwise(node, scope)


def _pointwise(node: ir.Node, scope: Scope) -> Spatial:
    state = scope.spatial(node)
    if any(value is not None and value.const_value is None for value in node.inputs[1:]):
        raise scope.refusal(node, "its scale or zero point is not constant")
    integers = [value for value in (node.inputs[0], node.outputs[0]) if _is_integer(value)]
    return Spatial(state.mask, state.axes, finite=bool(integers))


def _is_integer(value: ir.Value | None) -> bool:
    return value is not None and value.dtype is not None and value.dtype.is_integer()


def _is_zero(node: ir.Node) -> bool:
    point = node.inputs[2] if len(node.inputs) > 2 else None
    return point is None or (point.const_value is not None and not point.const_value.numpy().any())
