"""The operators that a model may use."""

from collections.abc import Mapping

import onnx
from onnx import AttributeProto, ModelProto, NodeProto

from heatproof.evaluators.errors import InvalidModelError, UnsupportedOperatorError
from heatproof.graphs.files.walking import find

MICROSOFT_OPERATORS = frozenset(
    {
        "BiasGelu",
        "DequantizeLinear",
        "DynamicQuantizeMatMul",
        "FastGelu",
        "FusedConv",
        "FusedGemm",
        "FusedMatMul",
        "Gelu",
        "MatMulIntegerToFloat",
        "MatMulNBits",
        "NhwcMaxPool",
        "QGemm",
        "QLinearAdd",
        "QLinearAveragePool",
        "QLinearConcat",
        "QLinearConv",
        "QLinearGlobalAveragePool",
        "QLinearLeakyRelu",
        "QLinearMul",
        "QLinearSigmoid",
        "QLinearSoftmax",
        "QLinearWhere",
        "QuantizeLinear",
        "QuickGelu",
        "SkipLayerNormalization",
    }
)
"""Operators of com.microsoft that ONNX Runtime's quantisation and fusion tools leave in CNNs.

Not the whole domain: it holds operators that open files or call other engines.
"""


def check_operators(model: ModelProto) -> None:
    """Refuses operators that ONNX does not define and that the model does not define itself.

    Raises:
        UnsupportedOperatorError: names the node, its operator and its domain.
        InvalidModelError: sizes or steps of a window or block are not positive, or a local function
            is defined twice or takes the name of an operator of ONNX Runtime's.
    """
    functions = {(f.domain, f.name, f.overload) for f in model.functions}
    _check_functions(model)
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    opsets.setdefault("", opsets.get("ai.onnx", 0))
    for node in (found.message for found in find(model, NodeProto)):
        if (node.domain, node.op_type, node.overload) not in functions:
            _check_operator(node, opsets)
            _check_steps(node)


def _check_functions(model: ModelProto) -> None:
    """Refuses functions of which two readers of a model could take different ones."""
    seen = set[tuple[str, str, str]]()
    for function in model.functions:
        named = f"local function {function.domain}.{function.name}"
        if (function.domain, function.name, function.overload) in seen:
            raise InvalidModelError(f"{named} is defined twice; export the model again")
        if function.domain == "com.microsoft":
            raise InvalidModelError(
                f"{named} has the name of an operator of ONNX Runtime, which may compute its own "
                "instead: give the function another domain"
            )
        seen.add((function.domain, function.name, function.overload))


def _check_steps(node: NodeProto) -> None:
    """Shape inference and ONNX Runtime refuse these too, but only once somebody divides by them."""
    for attribute in node.attribute:
        numbers = (*attribute.ints, attribute.i) if not attribute.ref_attr_name else ()
        given = numbers[:-1] if attribute.type == AttributeProto.INTS else numbers[-1:]
        if attribute.name in _POSITIVE and any(number < 1 for number in given):
            raise InvalidModelError(
                f"node {node.name!r} ({node.op_type}): {attribute.name} must be positive, not "
                f"{list(given)}; check the model with onnx.checker",
                metadata={"node": node.name, "operator": node.op_type},
            )


_POSITIVE = frozenset({"strides", "dilations", "kernel_shape", "blocksize", "group", "num_groups"})


def _check_operator(node: NodeProto, opsets: Mapping[str, int]) -> None:
    domain = "" if node.domain == "ai.onnx" else node.domain
    if domain == "com.microsoft" and node.op_type in MICROSOFT_OPERATORS:
        return
    if domain in {"", "ai.onnx.ml"} and onnx.defs.has(node.op_type, opsets.get(domain, 0), domain):
        return
    named = f"{domain or 'ai.onnx'}.{node.op_type}"
    raise UnsupportedOperatorError(
        f"node {node.name!r}: unknown operator {named} (opset "
        f"{opsets.get(domain, 'not imported')}); supported are the operators of ai.onnx and "
        "ai.onnx.ml, local functions, and of com.microsoft "
        f"{', '.join(sorted(MICROSOFT_OPERATORS))}",
        metadata={"node": node.name, "operator": named},
    )
