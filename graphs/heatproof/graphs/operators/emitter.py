"""Writes new nodes into a graph, in the words of its opset."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from heatproof.graphs.nodes.constants import constant

Dim = int | ir.SymbolicDim | None
Attribute = int | float | str | Sequence[int] | Sequence[float]
Operand = ir.Value | float | None

Attributes = dict[str, Any]
"""Attributes by name, to be handed over as keywords: each is an `Attribute`."""


def attributes_of(node: ir.Node) -> Attributes:
    """The attributes of a node, to build another with them."""
    return {name: attribute.value for name, attribute in node.attributes.items()}


class Emitter:
    """Adds nodes and constants to a graph; equal constants are stored once, names are new.

    It is called like a function, `op("Mul", x, mask, like=x)`; plain numbers become constants of
    rank 0.
    """

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        self._place: ir.Node | None = None
        self._constants: dict[tuple[str, tuple[int, ...], bytes], ir.Value] = {}
        self._taken = _names(graph)
        self._counts: dict[str, int] = {}

    @property
    def opset(self) -> int:
        """Version of the ONNX operators in use."""
        return self._graph.opset_imports[""]

    def before(self, node: ir.Node | None) -> None:
        """Sets the place of the nodes to come; None is the end of the graph."""
        self._place = node

    def remove(self, node: ir.Node) -> None:
        """Removes a node that nobody reads any more."""
        self._graph.remove(node, safe=True)

    def __call__(
        self,
        op_type: str,
        *inputs: Operand,
        like: ir.Value | None = None,
        shape: Sequence[Dim] | ir.Shape | None = None,
        dtype: ir.DataType | None = None,
        name: str = "",
        **attributes: Attribute,
    ) -> ir.Value:
        """Adds a node with one output and returns that.

        Args:
            op_type: type of ai.onnx.
            inputs: operands; a number has the element type of `like`.
            like: a tensor whose element type and shape the output has; else they stay open.
            shape: the shape where it is another.
            dtype: the element type where it is another.
            name: of the output, as far as it is free.
            attributes: of the node.
        """
        (output,) = self.several(op_type, *inputs, outputs=1, like=like, name=name, **attributes)
        if like is not None or dtype is not None:
            own = dtype or (None if like is None else like.dtype)
            output.type = ir.TensorType(own or ir.DataType.FLOAT)
        if shape is not None:
            output.shape = ir.Shape(shape)
        elif like is not None:
            output.shape = like.shape
        return output

    def several(
        self,
        op_type: str,
        *inputs: Operand,
        outputs: int,
        like: ir.Value | None = None,
        name: str = "",
        **attributes: Attribute,
    ) -> Sequence[ir.Value]:
        """Adds a node with several outputs, whose types and shapes stay open."""
        operands = [self._operand(x, like) for x in inputs]
        unused = self._unused(name or self._stem(op_type, like))
        given = [_attribute(key, value) for key, value in attributes.items()]
        node = ir.Node("", op_type, operands, given, num_outputs=outputs, name=unused)
        for index, value in enumerate(node.outputs):
            value.name = unused if outputs == 1 else self._unused(f"{unused}:{index}")
        if self._place is None:
            self._graph.append(node)
        else:
            self._graph.insert_before(self._place, node)
        return node.outputs

    def constant(self, array: np.ndarray, dtype: ir.DataType | None = None) -> ir.Value:
        """An initializer with the values of `array`, converted to `dtype`."""
        array = np.require(
            array if dtype is None else array.astype(dtype.numpy()), requirements="C"
        )
        # Weights may be large: their digest stands for them, not a second copy.
        digest = hashlib.sha256(array.reshape(-1).view(np.uint8).data).digest()
        key = (str(array.dtype), array.shape, digest)
        if key not in self._constants:
            self._constants[key] = self.constant_of_its_own(array)
        return self._constants[key]

    def constant_of_its_own(self, array: np.ndarray, dtype: ir.DataType | None = None) -> ir.Value:
        """As `constant`, shared with nobody."""
        array = np.require(
            array if dtype is None else array.astype(dtype.numpy()), requirements="C"
        )
        value = constant(self._unused(self._stem("constant", None)), array)
        self._graph.register_initializer(value)
        return value

    def integers(self, *numbers: int) -> ir.Value:
        """A constant vector, such as a shape."""
        return self.constant(np.array(numbers, np.int64))

    def scalar(self, number: float, dtype: ir.DataType | None = None) -> ir.Value:
        """A constant of rank 0."""
        return self.constant(np.array(number), dtype or ir.DataType.FLOAT)

    def _operand(self, operand: Operand, like: ir.Value | None) -> ir.Value | None:
        if isinstance(operand, int | float):
            return self.scalar(operand, None if like is None else like.dtype)
        return operand

    def _stem(self, op_type: str, like: ir.Value | None) -> str:
        """What the name of a node begins with."""
        return f"heatproof_{op_type}" if like is None else f"{like.name}_{op_type}"

    def _unused(self, name: str) -> str:
        count = self._counts.get(name, 0)  # those below are taken
        candidate = f"{name}_{count}" if count else name
        while candidate in self._taken:
            count += 1
            candidate = f"{name}_{count}"
        self._counts[name] = count
        self._taken.add(candidate)
        return candidate


def _attribute(name: str, value: Attribute) -> ir.Attr:
    """An attribute by the type of its value; onnx-ir asks each for a dozen protocols."""
    if isinstance(value, str):
        return ir.AttrString(name, value)
    if isinstance(value, int):
        return ir.AttrInt64(name, int(value))
    if isinstance(value, float):
        return ir.AttrFloat32(name, value)
    if isinstance(value, tuple | list):
        if all(isinstance(item, int) for item in value):
            return ir.AttrInt64s(name, [int(item) for item in value])
        if all(isinstance(item, float) for item in value):
            return ir.AttrFloat32s(name, value)
    return ir.convenience.convert_attribute(name, value)


def _names(graph: ir.Graph) -> set[str]:
    taken = {value.name or "" for value in (*graph.inputs, *graph.initializers.values())}
    for node in ir.traversal.RecursiveGraphIterator(graph):
        taken.add(node.name or "")
        taken.update(value.name or "" for value in node.outputs)
    return taken
