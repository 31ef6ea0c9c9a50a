"""Which functions of finite numbers may be infinite or NaN, told of gates, which have no cells.

A gate may divide by a norm, which is zero where no cell is visible.
"""

import onnx_ir as ir

from heatproof.graphs.masking.constants import is_finite

_POLES = frozenset(
    ["Acos", "Acosh", "Asin", "Atanh", "BitShift", "Cosh", "Exp", "LRN", "Log", "LogSoftmax"]
) | {
    "LpNormalization",
    "Mod",
    "Pow",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceProd",
    "Sinh",
    "Tan",
}
_NEVER_NEGATIVE = frozenset(
    ["Abs", "GlobalLpPool", "HardSigmoid", "ReduceL1", "ReduceL2", "ReduceSumSquare", "Relu"]
) | {"Sigmoid", "Softmax", "Softplus"}
_KEEP_SIGN = frozenset(
    ["Flatten", "Identity", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "Reshape", "Sqrt"]
) | {"Squeeze", "Transpose", "Unsqueeze"}
_WEIGHTED = frozenset({"Conv", "Gemm", "MatMul"})  # by tensors too large to search for infinities


def keeps_finite(node: ir.Node) -> bool:
    """Whether a node's results are finite wherever what it reads from the image is."""
    if node.op_type in _POLES or node.attributes.get_float("epsilon", 1.0) <= 0:
        return False
    if node.op_type in ("Div", "Reciprocal"):
        return _is_positive(node.inputs[-1])
    if node.op_type == "Sqrt":
        return _is_never_negative(node.inputs[0])
    constants = (value for value in node.inputs if value is not None and _is_constant(value))
    return node.op_type in _WEIGHTED or all(map(is_finite, constants))


def _is_positive(value: ir.Value | None) -> bool:
    """Whether all elements of a tensor are provably above some positive number."""
    if value is not None and value.const_value is not None:
        return bool((value.const_value.numpy() > 0).all())
    node = None if value is None else value.producer()
    if node is None:
        return False
    if node.op_type in ("Clip", "Max"):
        return any(_is_constant(bound) and _is_positive(bound) for bound in node.inputs[:2])
    if node.op_type == "Add":
        pairs = (node.inputs, node.inputs[::-1])
        return any(_is_positive(one) and _is_never_negative(other) for one, other in pairs)
    return node.op_type in _KEEP_SIGN and _is_positive(node.inputs[0])


def _is_never_negative(value: ir.Value | None) -> bool:
    node = None if value is None else value.producer()
    if node is None or _is_positive(value):
        return _is_positive(value)
    if node.op_type == "Mul":
        return node.inputs[0] is node.inputs[1]
    if node.op_type in _KEEP_SIGN:
        return _is_never_negative(node.inputs[0])
    return node.op_type in _NEVER_NEGATIVE


def _is_constant(value: ir.Value | None) -> bool:
    return value is not None and value.const_value is not None
