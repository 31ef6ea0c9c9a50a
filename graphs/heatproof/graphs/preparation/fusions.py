"""Takes operators apart that ONNX Runtime fuses when it saves an optimised model.

No rule of a rewrite needs to know them then, and a fill finds the convolution that reads it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import onnx_ir as ir
from onnx_ir.tape import Tape

DOMAIN = "com.microsoft"

_ACTIVATION = "activation"  # FusedConv and FusedGemm name what follows them by this attribute
_PARAMETERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "LeakyRelu": ("alpha",),
        "HardSigmoid": ("alpha", "beta"),
        "Relu": (),
        "Tanh": (),
        "Sigmoid": (),
    }
)


def take_apart(graph: ir.Graph) -> None:
    """Replaces fused operators by those of ai.onnx, in place; others stay as they are."""
    for node in tuple(graph):
        parts = _PARTS.get(node.op_type) if node.domain == DOMAIN else None
        if parts is None:
            continue
        tape = Tape()
        result = parts(node, tape)
        if result is not None:
            result.shape, result.type = node.outputs[0].shape, node.outputs[0].type
            ir.convenience.replace_nodes_and_values(
                graph, node, [node], tape.nodes, node.outputs[:1], [result]
            )


def _gelu(node: ir.Node, tape: Tape) -> ir.Value:
    """0.5 x . (1 + erf(x / sqrt(2)))."""
    x = _biased(node, tape)
    error = tape.op("Erf", [tape.op("Mul", [x, _number(math.sqrt(0.5), x, tape)])])
    twice = tape.op("Mul", [x, tape.op("Add", [error, _number(1, x, tape)])])
    return tape.op("Mul", [twice, _number(0.5, x, tape)])


def _fast_gelu(node: ir.Node, tape: Tape) -> ir.Value:
    """0.5 x . (1 + tanh(sqrt(2 / pi) . (x + 0.044715 x^3)))."""
    x = _biased(node, tape)
    square = tape.op("Mul", [x, x])
    factor = tape.op("Mul", [square, _number(0.044715, x, tape)])
    inner = tape.op("Mul", [x, tape.op("Add", [factor, _number(1, x, tape)])])
    tanh = tape.op("Tanh", [tape.op("Mul", [inner, _number(math.sqrt(2 / math.pi), x, tape)])])
    twice = tape.op("Mul", [x, tape.op("Add", [tanh, _number(1, x, tape)])])
    return tape.op("Mul", [twice, _number(0.5, x, tape)])


def _quick_gelu(node: ir.Node, tape: Tape) -> ir.Value:
    """A sigmoid gate: x . sigmoid(alpha . x)."""
    x = _operand(node, 0)
    alpha = _number(node.attributes.get_float("alpha", 1.702), x, tape)
    return tape.op("Mul", [x, tape.op("Sigmoid", [tape.op("Mul", [x, alpha])])])


def _convolution(node: ir.Node, tape: Tape) -> ir.Value | None:
    """activation(Conv(x, w, b) + z)."""
    result = tape.op("Conv", node.inputs[:3], _attributes(node))
    if len(node.inputs) > 3 and node.inputs[3] is not None:  # z
        result = tape.op("Add", [result, node.inputs[3]])
    return _activated(node, result, node.attributes.get_floats("activation_params", ()), tape)


def _dense(node: ir.Node, tape: Tape) -> ir.Value | None:
    """activation(Gemm(a, b, c))."""
    result = tape.op("Gemm", node.inputs, _attributes(node))
    names = ("activation_alpha", "activation_beta")
    given = [node.attributes.get_float(name, 0.0) for name in names if name in node.attributes]
    return _activated(node, result, given, tape)


def _activated(
    node: ir.Node, value: ir.Value, given: Sequence[float], tape: Tape
) -> ir.Value | None:
    kind = node.attributes.get_string(_ACTIVATION, "")
    if not kind:
        return value
    if kind == "Clip" and len(given) == 2:  # least and greatest
        bounds = [_number(bound, value, tape) for bound in given]
        return tape.op("Clip", [value, *bounds])
    if kind not in _PARAMETERS:
        return None
    parameters = dict(zip(_PARAMETERS[kind], given, strict=False))
    return tape.op(kind, [value], parameters)


def _attributes(node: ir.Node) -> dict[str, ir.Attr]:
    own = ((name, one) for name, one in node.attributes.items())
    return {name: one for name, one in own if not name.startswith(_ACTIVATION)}


def _biased(node: ir.Node, tape: Tape) -> ir.Value:
    x = _operand(node, 0)
    bias = node.inputs[1] if len(node.inputs) > 1 else None
    return x if bias is None else tape.op("Add", [x, bias])


def _operand(node: ir.Node, index: int) -> ir.Value:
    value = node.inputs[index]
    assert value is not None, "a mandatory operand"  # noqa: S101 # for the type checker
    return value


def _number(number: float, like: ir.Value, tape: Tape) -> ir.Value:
    dtype = (like.dtype or ir.DataType.FLOAT).numpy()
    return tape.op("Constant", [], {"value": ir.tensor(np.array(number, dtype))})


_PARTS: Mapping[str, Callable[[ir.Node, Tape], ir.Value | None]] = MappingProxyType(
    {
        "BiasGelu": _gelu,
        "FastGelu": _fast_gelu,
        "FusedConv": _convolution,
        "FusedGemm": _dense,
        "Gelu": _gelu,
        "QuickGelu": _quick_gelu,
    }
)
