"""Finds values that are computed from activations alone, whether or not any rule knows how.

Probabilities that were squared, shifted, turned round or spread are no logits, although nothing is
known of them but where they come from.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import onnx_ir as ir

_ACTIVATIONS: Final = frozenset(
    {"Softmax", "LogSoftmax", "Sigmoid", "HardSigmoid", "QLinearSoftmax", "QLinearSigmoid"}
)
_CLASSIFIERS: Final = frozenset(
    {"LinearClassifier", "Normalizer", "SVMClassifier", "TreeEnsemble", "TreeEnsembleClassifier"}
)
"""Operators of ai.onnx.ml that end in votes, shares or probabilities."""

_DECISIONS: Final = frozenset(
    {"ArgMax", "ArgMin", "Hardmax", "OneHot", "Sign", "Greater", "GreaterOrEqual", "Less"}
    | {"LessOrEqual", "Equal", "Not", "And", "Or", "Xor"}
)
"""Operators of whose results only a few numbers are possible."""

_LEARNED: Final = frozenset(
    {"Conv", "ConvInteger", "ConvTranspose", "DeformConv", "Einsum", "FusedConv", "FusedGemm"}
    | {"FusedMatMul", "Gemm", "MatMul", "MatMulInteger", "MatMulIntegerToFloat", "MatMulNBits"}
    | {"DynamicQuantizeMatMul", "QGemm", "QLinearConv", "QLinearMatMul"}
    | {"Attention", "GRU", "LSTM", "RNN", "If", "Loop", "Scan"}
)
"""Operators that make new scores of what they read, and those that hide what they do."""

_CARRIED: Final[Mapping[str, slice]] = {
    **dict.fromkeys(("Shape", "Size"), slice(0, 0)),
    **dict.fromkeys(("Gather", "GatherElements", "GatherND"), slice(0, 1)),
    **dict.fromkeys(("Reshape", "Expand", "Tile", "Slice", "Resize", "TopK"), slice(0, 1)),
    **dict.fromkeys(("Pad", "Unsqueeze", "Squeeze", "Split"), slice(0, 1)),
    "Where": slice(1, 3),
}
"""Operands whose values go into the result; the others say where or how many."""


def activation_behind(value: ir.Value) -> ir.Node | None:
    """An activation, or a decision, if a value is computed of such alone; else None.

    What is weighed against the scores themselves, such as `x sigmoid(x)`, is not.
    """
    found: ir.Node | None = None
    seen, waiting = {value}, [value]
    while waiting:
        value = waiting.pop()
        node = value.producer()
        if node is None or node.op_type in _LEARNED:
            return None
        if _is_bounded(node) or _is_place(value):
            found = found or node
            continue
        fresh = [operand for operand in _carried(node) if operand not in seen]
        seen.update(fresh)
        waiting.extend(fresh)
    return found


def _is_bounded(node: ir.Node) -> bool:
    if node.domain == "ai.onnx.ml":
        post = node.attributes.get_string("post_transform", "NONE")
        is_linear = node.op_type == "LinearClassifier" and post == "NONE"
        return node.op_type in _CLASSIFIERS and not is_linear
    return node.op_type in _ACTIVATIONS or node.op_type in _DECISIONS


def _is_place(value: ir.Value) -> bool:
    """Whether a value tells where the largest elements were."""
    node = value.producer()
    return node is not None and node.op_type in {"TopK", "MaxPool"} and value.index() == 1


def _carried(node: ir.Node) -> Iterator[ir.Value]:
    for operand in node.inputs[_CARRIED.get(node.op_type, slice(None))]:
        if operand is not None and operand.const_value is None:
            yield operand
