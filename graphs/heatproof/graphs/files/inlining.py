"""How large a model becomes when its local functions are inlined."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from onnx import GraphProto, ModelProto, NodeProto

from heatproof.evaluators.errors import InvalidModelError, LimitExceededError
from heatproof.graphs.files.tensors import external_bytes


@dataclass(frozen=True, slots=True)
class Size:
    """What nodes amount to, those of their subgraphs and of the functions they call included.

    Attributes:
        nodes: number of nodes.
        operands: number of their inputs and outputs.
        copied: bytes of the functions with all that they hold, once for each call.
    """

    nodes: int = 0
    operands: int = 0
    copied: int = 0

    def __add__(self, other: "Size") -> "Size":
        return Size(
            self.nodes + other.nodes, self.operands + other.operands, self.copied + other.copied
        )


FunctionId = tuple[str, str, str]


def inlined_size(model: ModelProto, *, max_calls: int) -> Size:
    """Size of the graph of a model once its functions are inlined; the first call copies nothing.

    Subgraphs must not be nested deeper than recursion goes.

    Args:
        model: the model.
        max_calls: how deep functions may call one another.

    Raises:
        LimitExceededError: functions call one another too deep.
        InvalidModelError: a function calls itself.
    """
    calls = _Calls(model, max_calls)
    size = calls.size_of(model.graph.node)
    return replace(size, copied=size.copied - sum(calls.own_bytes.values()))


class _Calls:
    """Counts nodes through local functions, each of which is counted once."""

    def __init__(self, model: ModelProto, max_calls: int) -> None:
        self._max_calls = max_calls
        self._functions = {(f.domain, f.name, f.overload): f for f in model.functions}
        self._sizes: dict[FunctionId, Size] = {}
        self.own_bytes: dict[FunctionId, int] = {}
        self._open: list[FunctionId] = []

    def size_of(self, nodes: Iterable[NodeProto]) -> Size:
        return sum(map(self._size_of_node, nodes), Size())

    def _size_of_node(self, node: NodeProto) -> Size:
        size = Size(1, len(node.input) + len(node.output))
        for graph in subgraphs(node):
            size += self.size_of(graph.node)
        called = (node.domain, node.op_type, node.overload)
        return size + self._size_of_function(called) if called in self._functions else size

    def _size_of_function(self, called: FunctionId) -> Size:
        if called in self._sizes:
            return self._sizes[called]
        if called in self._open:
            raise InvalidModelError(f"local function {called[1]!r} calls itself; ONNX forbids it")
        if len(self._open) > self._max_calls:
            raise LimitExceededError(f"local functions call each other {len(self._open)} deep")
        self._open.append(called)
        function = self._functions[called]
        self.own_bytes[called] = function.ByteSize() + external_bytes(function)
        size = self.size_of(function.node) + Size(copied=self.own_bytes[called])
        self._open.pop()
        self._sizes[called] = size
        return size


def subgraphs(node: NodeProto) -> list[GraphProto]:
    """Graphs directly below a node, whatever the attribute says of its type."""
    graphs: list[GraphProto] = []
    for attribute in node.attribute:
        if attribute.HasField("g"):
            graphs.append(attribute.g)
        graphs.extend(attribute.graphs)
    return graphs
