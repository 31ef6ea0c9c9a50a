"""Writes new nodes into a graph that is being rewritten."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from heatproof.graphs.nodes.constants import constant

Dim = int | ir.SymbolicDim | None
Attribute = int | float | str | Sequence[int]


def attributes_of(node: ir.Node) -> dict[str, Attribute]:
    """The attributes of a node, to build another with them."""
    return {name: attribute.value for name, attribute in node.attributes.items()}


class Emitter:
    """Inserts nodes before the node under work; equal constants are stored once."""

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        self._place: ir.Node | None = None
        self._constants: dict[tuple[str, tuple[int, ...], bytes], ir.Value] = {}
        self._taken = {value.name for value in _values(graph)}
        self._counts: dict[str, int] = {}

    @property
    def opset(self) -> int:
        """Version of the ONNX operators in use."""
        return self._graph.opset_imports[""]

    def before(self, node: ir.Node | None) -> None:
        """Sets the place of the nodes to come; None is the end of the graph."""
        self._place = node

    def node(
        self,
        op_type: str,
        *inputs: ir.Value | None,
        like: ir.Value,
        shape: Sequence[Dim] | ir.Shape | None = None,
        name: str = "",
        dtype: ir.DataType | None = None,
        attributes: Mapping[str, Attribute] | None = None,
    ) -> ir.Value:
        """Adds a node with one output, of the type and shape of `like` where not given."""
        output = ir.Value(
            name=self._unused(name or f"{like.name}_{op_type}"),
            type=ir.TensorType(dtype or like.dtype or ir.DataType.FLOAT),
            shape=ir.Shape(shape) if shape is not None else like.shape,
        )
        node = ir.node(
            op_type, inputs, attributes=dict(attributes or {}), outputs=[output], name=output.name
        )
        if self._place is None:
            self._graph.append(node)
        else:
            self._graph.insert_before(self._place, node)
        return output

    def constant(self, array: np.ndarray, dtype: ir.DataType | None = None) -> ir.Value:
        """An initializer with the values of `array`, converted to `dtype`."""
        array = np.ascontiguousarray(array if dtype is None else array.astype(dtype.numpy()))
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self.constant_of_its_own(array)
        return self._constants[key]

    def constant_of_its_own(self, array: np.ndarray, dtype: ir.DataType | None = None) -> ir.Value:
        """As `constant`, shared with nobody."""
        array = np.ascontiguousarray(array if dtype is None else array.astype(dtype.numpy()))
        value = constant(self._unused("masking_constant"), array)
        self._graph.register_initializer(value)
        return value

    def integers(self, *numbers: int) -> ir.Value:
        """A constant vector, such as a shape."""
        return self.constant(np.array(numbers, np.int64))

    def scalar(self, number: float, dtype: ir.DataType | None) -> ir.Value:
        """A constant of rank 0."""
        return self.constant(np.array(number), dtype or ir.DataType.FLOAT)

    def _unused(self, name: str) -> str:
        count = self._counts.get(name, 0)  # those below are taken
        candidate = f"{name}_{count}" if count else name
        while candidate in self._taken:
            count += 1
            candidate = f"{name}_{count}"
        self._counts[name] = count
        self._taken.add(candidate)
        return candidate


def _values(graph: ir.Graph) -> list[ir.Value]:
    produced = [output for node in graph for output in node.outputs]
    return [*graph.inputs, *graph.initializers.values(), *produced]
