"""How large a model may be; counted on the parsed bytes, before anything walks them recursively."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

from heatproof.evaluators.errors import InvalidModelError, LimitExceededError

GIBIBYTE = 1 << 30
OLDEST_OPSET = 7
"""Opset from which broadcasting and inference mode have today's meaning."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on a model.

    Attributes:
        max_bytes: size of the model file and of all its external data together.
        max_nodes: number of nodes once local functions are inlined, subgraphs included.
        max_tensor_bytes: size of one weight tensor.
        max_nesting: depth of subgraphs in subgraphs (If, Loop, Scan).
        oldest_opset: lowest accepted version of ai.onnx.
        newest_opset: highest accepted version of ai.onnx.
    """

    max_bytes: int = 4 * GIBIBYTE
    max_nodes: int = 50_000
    max_tensor_bytes: int = 2 * GIBIBYTE
    max_nesting: int = 8
    oldest_opset: int = OLDEST_OPSET
    newest_opset: int = onnx.defs.onnx_opset_version()

    def check_bytes(self, total: int) -> None:
        """Refuses files that are too large together.

        Raises:
            LimitExceededError: says how large and how large they may be.
        """
        if total > self.max_bytes:
            raise LimitExceededError(
                f"the model has {total} bytes; this server takes at most {self.max_bytes}"
            )

    def check_tensor(self, name: str, size: int) -> None:
        """Refuses one tensor of `size` bytes that is too large.

        Raises:
            LimitExceededError: names the tensor.
        """
        if size > self.max_tensor_bytes:
            raise LimitExceededError(
                f"tensor {name!r} has {size} bytes; this server takes at most "
                f"{self.max_tensor_bytes} in one tensor",
                metadata={"tensor": name},
            )

    def check_opset(self, model: ModelProto) -> None:
        """Refuses versions of ai.onnx that are too old or too new.

        Raises:
            InvalidModelError: names the version and the accepted ones.
        """
        versions = [entry.version for entry in model.opset_import if _is_onnx(entry.domain)]
        if not versions:
            raise InvalidModelError("the model imports no opset of ai.onnx; export it again")
        for version in versions:
            if not self.oldest_opset <= version <= self.newest_opset:
                raise InvalidModelError(
                    f"the model uses ai.onnx opset {version}; supported are {self.oldest_opset} to "
                    f"{self.newest_opset}: export it with another opset_version or convert it with "
                    "onnx.version_converter",
                    metadata={"opset": str(version)},
                )

    def check_size(self, model: ModelProto) -> None:
        """Refuses graphs that are too deep or, with functions inlined, too large.

        Raises:
            LimitExceededError: says the count and the bound.
            InvalidModelError: a local function calls itself.
        """
        calls = _Calls(model, self)
        total = calls.nodes_of(model.graph.node)
        if total > self.max_nodes:
            raise LimitExceededError(
                f"the model has {total} nodes once its functions are inlined; this server takes "
                f"at most {self.max_nodes}"
            )


FunctionId = tuple[str, str, str]


class _Calls:
    """Counts nodes through local functions, each of which is counted once."""

    def __init__(self, model: ModelProto, limits: Limits) -> None:
        self._limits = limits
        self._functions = {(f.domain, f.name, f.overload): f for f in model.functions}
        self._sizes: dict[FunctionId, int] = {}
        self._open: list[FunctionId] = []

    def nodes_of(self, nodes: Iterable[NodeProto], depth: int = 0) -> int:
        if depth > self._limits.max_nesting:
            raise LimitExceededError(
                f"subgraphs are nested more than {self._limits.max_nesting} deep; flatten the model"
            )
        return sum(self._size_of(node, depth) for node in nodes)

    def _size_of(self, node: NodeProto, depth: int) -> int:
        size = 1 + sum(self.nodes_of(graph.node, depth + 1) for graph in subgraphs(node))
        called = (node.domain, node.op_type, node.overload)
        return size + self._size_of_function(called) if called in self._functions else size

    def _size_of_function(self, called: FunctionId) -> int:
        if called in self._sizes:
            return self._sizes[called]
        if called in self._open or len(self._open) > self._limits.max_nodes:
            raise InvalidModelError(f"local function {called[1]!r} calls itself; ONNX forbids it")
        if len(self._open) > 8 * self._limits.max_nesting:
            raise LimitExceededError(f"local functions call each other {len(self._open)} deep")
        self._open.append(called)
        size = self.nodes_of(self._functions[called].node)
        self._open.pop()
        self._sizes[called] = size
        return size


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """Graphs held by the attributes of a node."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == AttributeProto.GRAPHS:
            yield from attribute.graphs


def all_nodes(model: ModelProto) -> Iterator[NodeProto]:
    """Every node: of the graph, of local functions, of subgraphs."""
    yield from _nodes_within(model.graph.node)
    for function in model.functions:
        yield from _nodes_within(function.node)


def _nodes_within(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    for node in nodes:
        yield node
        for graph in subgraphs(node):
            yield from _nodes_within(graph.node)


def all_tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Every stored tensor: initializers and tensor attributes, everywhere."""
    yield from model.graph.initializer
    for node in all_nodes(model):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
        for graph in subgraphs(node):
            yield from graph.initializer


def _is_onnx(domain: str) -> bool:
    return domain in {"", "ai.onnx"}
