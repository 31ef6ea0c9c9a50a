"""Bodies of the fused operators of com.microsoft that ONNX Runtime's optimiser leaves in CNNs."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

_FUSED = ("activation", "activation_params", "activation_alpha", "activation_beta")
_GELU_OPSET = 20


@dataclass(slots=True)
class _Body:
    """A function body under construction, in the words of ai.onnx.

    Attributes:
        node: the fused node.
        opset: version of the ai.onnx operators in use.
        nodes: what has been written.
    """

    node: ir.Node
    opset: int
    nodes: list[ir.Node] = field(default_factory=list)

    def __call__(
        self, op_type: str, *inputs: ir.Value | float | None, attributes: Sequence[ir.Attr] = ()
    ) -> ir.Value:
        operands = [self._scalar(x) if isinstance(x, int | float) else x for x in inputs]
        self.nodes.append(ir.Node("", op_type, operands, attributes))
        return self.nodes[-1].outputs[0]

    def _scalar(self, number: float) -> ir.Value:
        x = self.node.inputs[0]
        dtype = ir.DataType.FLOAT if x is None or x.dtype is None else x.dtype
        tensor = ir.tensor(np.array(number, dtype.numpy()))
        return self("Constant", attributes=[ir.AttrTensor("value", tensor)])


def body_of_fusion(node: ir.Node, opset: int) -> ir.Function | None:
    """What a fused node computes, or None for other nodes. The body takes no attributes."""
    write = _BODIES.get(node.op_type) if node.domain == "com.microsoft" else None
    if write is None:
        return None
    body = _Body(node, opset)
    inputs = [ir.Value(name=f"operand_{k}") for k in range(len(node.inputs))]
    given = [None if value is None else x for value, x in zip(node.inputs, inputs, strict=True)]
    output = write(body, *given)
    output.name = "result"
    graph = ir.Graph(inputs, [output], nodes=body.nodes, opset_imports={"": opset})
    return ir.Function("", node.op_type, graph=graph, attributes=[])


def _gelu(op: _Body, x: ir.Value, bias: ir.Value | None = None) -> ir.Value:
    """Gives z Phi(z) with z = x + bias."""
    z = x if bias is None else op("Add", x, bias)
    if op.opset >= _GELU_OPSET:
        return op("Gelu", z)
    area = op("Add", op("Erf", op("Mul", z, math.sqrt(0.5))), 1.0)
    return op("Mul", op("Mul", z, 0.5), area)


def _fast_gelu(op: _Body, x: ir.Value, bias: ir.Value | None = None) -> ir.Value:
    """Gives z (1 + tanh(c (z + a z^3))) / 2 with z = x + bias."""
    z = x if bias is None else op("Add", x, bias)
    cube = op("Mul", op("Mul", op("Mul", z, z), z), 0.044715)
    inner = op("Mul", op("Add", z, cube), math.sqrt(2 / math.pi))
    return op("Mul", op("Mul", z, 0.5), op("Add", op("Tanh", inner), 1.0))


def _quick_gelu(op: _Body, x: ir.Value) -> ir.Value:
    """Gives x sigmoid(alpha x)."""
    alpha = op.node.attributes.get_float("alpha", 1.702)
    return op("Mul", x, op("Sigmoid", op("Mul", x, alpha)))


def _fused_convolution(
    op: _Body, x: ir.Value, w: ir.Value, b: ir.Value | None = None, z: ir.Value | None = None
) -> ir.Value:
    """A convolution, a sum and an activation."""
    y = op("Conv", x, w, *([b] if b is not None else []), attributes=_unfused(op.node))
    return _activated(op, y if z is None else op("Add", y, z))


def _fused_gemm(op: _Body, *factors: ir.Value | None) -> ir.Value:
    """A matrix product and an activation."""
    return _activated(op, op("Gemm", *factors, attributes=_unfused(op.node)))


def _unfused(node: ir.Node) -> list[ir.Attr]:
    return [attribute for name, attribute in node.attributes.items() if name not in _FUSED]


def _activated(op: _Body, x: ir.Value) -> ir.Value:
    """The activation of a fused node, with its parameters in the order of its attributes."""
    attributes = op.node.attributes
    name = attributes.get_string("activation", "")
    parameters = attributes.get_floats("activation_params") or [
        number
        for key in ("activation_alpha", "activation_beta")
        if (number := attributes.get_float(key)) is not None
    ]
    if not name:
        return x
    if name == "Clip":
        return op("Clip", x, *parameters)
    named = zip(("alpha", "beta"), parameters, strict=False)
    return op(name, x, attributes=[ir.AttrFloat32(key, value) for key, value in named])


_BODIES: dict[str, Callable[..., ir.Value]] = {
    "BiasGelu": _gelu,
    "FastGelu": _fast_gelu,
    "FusedConv": _fused_convolution,
    "FusedGemm": _fused_gemm,
    "Gelu": _gelu,
    "QuickGelu": _quick_gelu,
}
