"""Writes the nodes of a gradient graph, in the words of the model's own opset."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import onnx_ir as ir

from heatproof.evaluators.errors import UnsupportedOperatorError
from heatproof.graphs.operators.rules import Operator

Operand = ir.Value | float | None
AttributeValue = int | float | str | Sequence[int] | Sequence[float]

_AXES_AS_INPUT = {
    "ReduceSum": 13,
    "ReduceMean": 18,
    "ReduceMax": 18,
    "ReduceProd": 18,
    "Squeeze": 13,
    "Unsqueeze": 13,
}


class Emitter:
    """Appends nodes and constants to a graph.

    A rule calls it like a function, `op("Mul", gradient, y)`; plain floats become scalars of the
    element type of the forward node.

    Attributes:
        opset: version of the ai.onnx operators in use.
        active: forward values on a path between the two ends, which need gradients.
    """

    def __init__(self, graph: ir.Graph, active: frozenset[ir.Value]) -> None:
        self.opset = graph.opset_imports[""]
        self.active = active
        self._graph = graph
        self._node: ir.Node | None = None
        self._dtype = ir.DataType.FLOAT
        self._constants: dict[tuple[str, tuple[int, ...], bytes], ir.Value] = {}
        self._taken = _names(graph)
        self._count = 0

    def begin(self, node: ir.Node) -> None:
        """Starts on the gradient of a forward node: names and element types follow it."""
        self._node = node
        dtypes = [out.dtype for out in node.outputs if out.dtype is not None]
        self._dtype = next((dtype for dtype in dtypes if dtype.is_floating_point()), self._dtype)

    @contextmanager
    def in_dtype(self, dtype: ir.DataType) -> Iterator[None]:
        """Lets plain numbers have another element type for a while."""
        own, self._dtype = self._dtype, dtype
        yield
        self._dtype = own

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Element type of the forward node at hand."""
        return self._dtype.numpy()

    def __call__(self, op_type: str, *inputs: Operand, **attributes: AttributeValue) -> ir.Value:
        """Appends a node with one output and returns that output."""
        return self.several(op_type, *inputs, outputs=1, **attributes)[0]

    def several(
        self, op_type: str, *inputs: Operand, outputs: int, **attributes: AttributeValue
    ) -> Sequence[ir.Value]:
        """Appends a node with several outputs."""
        operands = [self.scalar(x) if isinstance(x, int | float) else x for x in inputs]
        name = self._fresh(f"{self._origin()}/gradient/{op_type}")
        node = ir.node(op_type, operands, attributes, num_outputs=outputs, name=name)
        for index, value in enumerate(node.outputs):
            value.name = self._fresh(f"{name}:{index}")
        self._graph.append(node)
        return node.outputs

    def constant(self, array: np.ndarray) -> ir.Value:
        """An initializer; equal arrays share one."""
        array = np.require(array, requirements="C")  # unlike ascontiguousarray it keeps rank 0
        # Weights may be large: their digest stands for them, not a second copy.
        digest = hashlib.sha256(array.reshape(-1).view(np.uint8).data).digest()
        key = (array.dtype.str, array.shape, digest)
        if key not in self._constants:
            name = self._fresh(f"{self._origin()}/gradient/constant")
            tensor = ir.tensor(array, name=name)
            value = ir.Value(
                name=name,
                shape=ir.Shape(array.shape),
                type=ir.TensorType(tensor.dtype),
                const_value=tensor,
            )
            self._graph.register_initializer(value)
            self._constants[key] = value
        return self._constants[key]

    def scalar(self, number: float) -> ir.Value:
        """A rank-0 constant of the element type at hand."""
        return self.constant(np.array(number, self.dtype))

    def ints(self, numbers: Sequence[int]) -> ir.Value:
        """A list of int64, as shapes and axes are."""
        return self.constant(np.array(numbers, np.int64).reshape(-1))

    def over(
        self, op_type: str, x: ir.Value, axes: Sequence[int], **attributes: AttributeValue
    ) -> ir.Value:
        """Appends a node that works along axes, which moved from attribute to input over time."""
        if self.opset >= _AXES_AS_INPUT[op_type]:
            return self(op_type, x, self.ints(axes), **attributes)
        return self(op_type, x, axes=list(axes), **attributes)

    def sum_over(self, x: ir.Value, axes: Sequence[int], *, keepdims: bool = True) -> ir.Value:
        """Sums along axes."""
        return self.over("ReduceSum", x, axes, keepdims=int(keepdims)) if axes else x

    def mean_over(self, x: ir.Value, axes: Sequence[int]) -> ir.Value:
        """Averages along axes, which stay with length 1."""
        return self.over("ReduceMean", x, axes, keepdims=1)

    def sliced(
        self, x: ir.Value, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int]
    ) -> ir.Value:
        """Takes a range along each axis."""
        return self("Slice", x, self.ints(starts), self.ints(ends), self.ints(axes))

    def mask(self, condition: ir.Value, x: Operand) -> ir.Value:
        """Keeps x where a condition holds, zero elsewhere."""
        return self("Where", condition, x, 0.0)

    def refusal(self, reason: str) -> UnsupportedOperatorError:
        """The error that refuses the forward node at hand."""
        node, imports = self._node, self._graph.opset_imports
        operator = "" if node is None else Operator.name_of(node, imports)
        return UnsupportedOperatorError(
            f"node {self._origin()!r}: no gradient for this {operator}: {reason}",
            metadata={"node": self._origin(), "operator": operator, "reason": reason},
        )

    def _origin(self) -> str:
        return (self._node.name or "") if self._node is not None else ""

    def _fresh(self, stem: str) -> str:
        self._count += 1
        name = f"{stem}_{self._count}"
        while name in self._taken:
            self._count += 1
            name = f"{stem}_{self._count}"
        self._taken.add(name)
        return name


def _names(graph: ir.Graph) -> set[str]:
    taken = {value.name or "" for value in (*graph.inputs, *graph.initializers.values())}
    for node in ir.traversal.RecursiveGraphIterator(graph):
        taken.add(node.name or "")
        taken.update(value.name or "" for value in node.outputs)
    return taken
