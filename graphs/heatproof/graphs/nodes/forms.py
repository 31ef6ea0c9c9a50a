"""Forms in which exporters write functions that ONNX has no operator for."""

import onnx_ir as ir


def is_sigmoid_of(gate: ir.Value | None, x: ir.Value) -> bool:
    """Whether a gate is sigmoid(x), so that x . gate is SiLU."""
    node = None if gate is None else gate.producer()
    return node is not None and node.op_type == "Sigmoid" and node.inputs[0] is x
