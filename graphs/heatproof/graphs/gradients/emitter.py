"""Writes the nodes of a gradient graph, in the words of the model's own opset."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import onnx_ir as ir

from heatproof.evaluators.errors import UnsupportedOperatorError
from heatproof.graphs.operators.emitter import Attribute, Attributes, Emitter, Operand
from heatproof.graphs.operators.rules import Operator

_AXES_AS_INPUT = {
    "ReduceSum": 13,
    "ReduceMean": 18,
    "ReduceMax": 18,
    "ReduceProd": 18,
    "Squeeze": 13,
    "Unsqueeze": 13,
}


class GradientEmitter(Emitter):
    """An emitter that knows the forward node whose gradient is written.

    Plain numbers have the element type of that node.

    Attributes:
        active: forward values on a path between the two ends, which need gradients.
    """

    def __init__(self, graph: ir.Graph, active: frozenset[ir.Value]) -> None:
        super().__init__(graph)
        self.active = active
        self._node: ir.Node | None = None
        self._dtype = ir.DataType.FLOAT

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

    def scalar(self, number: float, dtype: ir.DataType | None = None) -> ir.Value:
        """A constant of rank 0, of the element type at hand unless another is given."""
        return super().scalar(number, dtype or self._dtype)

    def over(
        self, op_type: str, x: ir.Value, axes: Sequence[int], **attributes: Attribute
    ) -> ir.Value:
        """Appends a node that works along axes, which moved from attribute to input over time."""
        given: Attributes = {**attributes}
        if self.opset >= _AXES_AS_INPUT[op_type]:
            return self(op_type, x, self.integers(*axes), **given)
        return self(op_type, x, axes=list(axes), **given)

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
        return self("Slice", x, self.integers(*starts), self.integers(*ends), self.integers(*axes))

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

    def _stem(self, op_type: str, like: ir.Value | None) -> str:
        del like
        return f"{self._origin()}/gradient/{op_type}"

    def _origin(self) -> str:
        return (self._node.name or "") if self._node is not None else ""
