"""Reads and writes the constants of a graph."""

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray


def constant(name: str, array: NDArray[np.generic]) -> ir.Value:
    """A constant value, to be registered as an initializer of a graph."""
    # `ir.tensor` would ask each array for the attributes of a protocol.
    tensor = ir.Tensor(array, name=name)  # pyright: ignore[reportArgumentType] # NumPy overloads
    return ir.Value(
        name=name,
        shape=ir.Shape(array.shape),
        type=ir.TensorType(tensor.dtype),
        const_value=tensor,
    )


def constant_operand(node: ir.Node, index: int) -> NDArray[np.generic] | None:
    """The constant that a node reads as an input, or None if that is absent or computed."""
    operand = node.inputs[index] if index < len(node.inputs) else None
    tensor = None if operand is None else ir.convenience.get_const_tensor(operand)
    return None if tensor is None else tensor.numpy()


def replace_operand(node: ir.Node, index: int, array: NDArray[np.generic]) -> None:
    """Gives a node a constant of its own; other readers of the old operand keep that."""
    name = f"{node.name}/operand_{index}"
    while isinstance(node.graph, ir.Graph) and name in node.graph.initializers:
        name += "'"  # replaced before
    value = constant(name, array)
    if isinstance(node.graph, ir.Graph):
        node.graph.register_initializer(value)
    node.replace_input_with(index, value)


def is_finite(value: ir.Value | None) -> bool:
    """Whether a tensor is a constant without infinities and NaN, or absent."""
    if value is None:
        return True
    if value.const_value is None:
        return False
    array = value.const_value.numpy()
    return not np.issubdtype(array.dtype, np.floating) or bool(np.isfinite(array).all())


def integers(value: ir.Value | None) -> list[int] | None:
    """The elements of a constant vector of integers, or None if it is not constant."""
    if value is None or value.const_value is None:
        return None
    return [int(number) for number in value.const_value.numpy().reshape(-1)]


def number(value: ir.Value | None) -> float | None:
    """A constant of one element, or None."""
    if value is None or value.const_value is None or value.const_value.size != 1:
        return None
    return float(value.const_value.numpy().reshape(())[()])
