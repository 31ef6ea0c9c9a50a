"""Brings what exporters write, and runtimes bear, to the letter of ONNX; in place, on the message.

ONNX Runtime takes graphs that `onnx.checker` refuses: nodes out of order, operator sets that are
not imported, sizes of -1. What such a graph means is never in doubt, so it is written as it should
be instead of refused.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain

import onnx
from onnx import (
    FunctionProto,
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    TypeProto,
    ValueInfoProto,
)

from heatproof.evaluators.errors import InvalidModelError
from heatproof.graphs.files.forms.scalers import without_scalers
from heatproof.graphs.files.inlining import subgraphs
from heatproof.graphs.files.walking import find

_DEFAULT_DOMAIN = "ai.onnx"
_LEARNING_DOMAIN = "ai.onnx.ml"
_FUNCTIONS_SINCE = 8
"""The IR version of ONNX that brought local functions."""
_OPEN_SIZES = (-1, 0)
"""What exporters write for a size that they leave open; a size of 0 would hold no image."""


def tidied(proto: ModelProto) -> list[str]:
    """Tidies a message in place; returns what a user must know, in sentences.

    1. The domain `ai.onnx` is written as ""; equal imports of an operator set are merged, missing
       ones added.
    2. Nodes without a name, or with that of another node, get one of their own.
    3. Sizes of -1 and 0 of inputs, outputs and intermediate values are open.
    4. ZipMap, which turns a tensor into maps, gives way to the tensor, and ImageScaler to Mul and
       Add.
    5. What a subgraph returns is computed in it, once for each output.
    6. Nodes follow those that they read.
    7. A model with local functions has at least the IR version that brought them: `onnx.checker`
       leaves the functions of older ones unread.

    Raises:
        InvalidModelError: a size is negative, imports contradict each other, an output is a map
            that no ZipMap makes, or nodes read each other in a circle.
    """
    if proto.functions:
        proto.ir_version = max(proto.ir_version, _FUNCTIONS_SINCE)
    _name_domains(proto)
    _import_operators(proto)
    _name_nodes(proto)
    proto.graph.name = proto.graph.name or "graph"
    graphs = [found.message for found in find(proto, GraphProto)]
    for graph in graphs:
        _open_sizes(graph)
    notes = [*without_scalers(proto), *_without_maps(proto.graph)]
    for node in _nodes(proto):
        for graph in subgraphs(node):
            _return_own_values(graph)
    for graph in graphs:
        _sort_nodes(graph)
    for function in proto.functions:
        _sort_nodes(function)
    return notes


def _nodes(proto: ModelProto) -> list[NodeProto]:
    """Every node: of the graph, of local functions, of subgraphs."""
    return [found.message for found in find(proto, NodeProto)]


def _name_domains(proto: ModelProto) -> None:
    for node in _nodes(proto):
        if node.domain == _DEFAULT_DOMAIN:
            node.domain = ""
    imports = [proto.opset_import, *(function.opset_import for function in proto.functions)]
    for entry in chain.from_iterable(imports):
        if entry.domain == _DEFAULT_DOMAIN:
            entry.domain = ""


def _import_operators(proto: ModelProto) -> None:
    versions: dict[str, int] = {}
    for entry in proto.opset_import:
        if versions.setdefault(entry.domain, entry.version) != entry.version:
            raise InvalidModelError(
                f"the model imports versions {versions[entry.domain]} and {entry.version} of the "
                f"operators of {entry.domain or _DEFAULT_DOMAIN}; keep one of them"
            )
    for node in _nodes(proto):
        versions.setdefault(node.domain, _newest(node.domain))
    del proto.opset_import[:]
    for domain, version in versions.items():
        proto.opset_import.add(domain=domain, version=version)


def _newest(domain: str) -> int:
    """The version that ONNX Runtime takes where a model names none."""
    if domain != _LEARNING_DOMAIN:
        return 1
    schemas = onnx.defs.get_all_schemas_with_history()
    return max(schema.since_version for schema in schemas if schema.domain == domain)


def _name_nodes(proto: ModelProto) -> None:
    nodes = _nodes(proto)
    names = Counter(node.name for node in nodes)
    taken = set(names)
    for node in nodes:
        if node.name and names[node.name] == 1:
            continue
        first = next((name for name in node.output if name), "")
        wanted = node.name or f"{node.op_type}({first})"
        names[node.name] -= 1  # the last of its name keeps it
        node.name = _unused(wanted, taken)


def _unused(wanted: str, taken: set[str]) -> str:
    name, count = wanted, 1
    while name in taken:
        name, count = f"{wanted}_{count}", count + 1
    taken.add(name)
    return name


def _open_sizes(graph: GraphProto) -> None:
    for value in graph.input:
        for size in _sizes(value.type):
            if size.HasField("dim_value") and size.dim_value < min(_OPEN_SIZES):
                raise InvalidModelError(
                    f"input {value.name!r} has a size of {size.dim_value}; sizes are positive, or "
                    "-1 where they are open"
                )
    for value in (*graph.input, *graph.output, *graph.value_info):
        for size in _sizes(value.type):
            if size.HasField("dim_value") and size.dim_value <= max(_OPEN_SIZES):
                size.ClearField("dim_value")


def _sizes(kind: TypeProto) -> Iterable[onnx.TensorShapeProto.Dimension]:
    return kind.tensor_type.shape.dim if kind.HasField("tensor_type") else ()


def _without_maps(graph: GraphProto) -> Iterator[str]:
    """Replaces each ZipMap whose result is an output by the tensor that it reads."""
    read = {name for node in graph.node for name in node.input}
    makers = {node.output[0]: node for node in graph.node if node.op_type == "ZipMap"}
    for value in graph.output:
        if not _is_map(value.type):
            continue
        node = makers.get(value.name)
        if node is None or value.name in read:
            maker = "" if node is None else f", which ZipMap {node.name!r} makes"
            raise InvalidModelError(
                f"output {value.name!r} is a map{maker}; a classifier returns a tensor "
                "[N, classes]: export it without ZipMap (options={'zipmap': False} of skl2onnx)"
            )
        yield (
            f"node {node.name!r}, ZipMap, is left out: output {value.name!r} is the tensor "
            "[N, classes] that it reads"
        )
        node.op_type, node.domain = "Identity", ""
        del node.attribute[:]
        value.type.tensor_type.elem_type = TensorProto.FLOAT  # in place of the sequence of maps
        value.type.tensor_type.shape.dim.add()
        value.type.tensor_type.shape.dim.add()


def _is_map(kind: TypeProto) -> bool:
    while kind.HasField("sequence_type") or kind.HasField("optional_type"):
        wrapped = kind.sequence_type if kind.HasField("sequence_type") else kind.optional_type
        kind = wrapped.elem_type
    return kind.HasField("map_type")


def _return_own_values(graph: GraphProto) -> None:
    """Copies what a subgraph returns of other graphs, or returns twice."""
    own = {name for node in graph.node for name in node.output}
    own |= _given(graph)
    returned: set[str] = set()
    for place, value in enumerate(graph.output):
        if value.name not in own or value.name in returned:
            _copy_returned(graph, value, f"{graph.name}/returned_{place}:{value.name}")
        returned.add(value.name)


def _given(graph: GraphProto) -> set[str]:
    """Names of what a graph holds without computing it."""
    return {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}


def _copy_returned(graph: GraphProto, value: ValueInfoProto, name: str) -> None:
    graph.node.add(op_type="Identity", name=name, input=[value.name], output=[name])
    value.name = name


def _sort_nodes(owner: GraphProto | FunctionProto) -> None:
    """Sorts nodes so that each follows those it reads; those that do keep their order."""
    nodes = owner.node
    makers = {name: place for place, node in enumerate(nodes) for name in node.output if name}
    reads = [{makers[name] for name in _names_read(node) if name in makers} for node in nodes]
    if all(max(places, default=-1) < place for place, places in enumerate(reads)):
        return
    order = _order(reads)
    if len(order) < len(nodes):
        stuck = nodes[min(set(range(len(nodes))).difference(order))]
        raise InvalidModelError(
            f"node {stuck.name!r} ({stuck.op_type}) waits for its own result, or for that of nodes "
            "that do; export the model again"
        )
    rank = {place: index for index, place in enumerate(order)}
    ranks = {name: rank[place] for name, place in makers.items()}
    nodes.sort(key=lambda node: max((ranks[name] for name in node.output if name), default=-1))


def _order(reads: Sequence[Collection[int]]) -> list[int]:
    """Places in an order in which each follows those it reads, as far as there is one."""
    readers: dict[int, list[int]] = defaultdict(list)
    for place, places in enumerate(reads):
        for maker in places:
            readers[maker].append(place)
    waiting = [len(places) for places in reads]
    ready = [place for place, count in enumerate(waiting) if not count]
    order: list[int] = []
    while ready:
        order.append(heapq.heappop(ready))
        for reader in readers[order[-1]]:
            waiting[reader] -= 1
            if not waiting[reader]:
                heapq.heappush(ready, reader)
    return order


def _names_read(node: NodeProto) -> Iterator[str]:
    """Names that a node and its subgraphs read of the graphs around them."""
    yield from node.input
    for graph in subgraphs(node):
        own = {name for inner in graph.node for name in inner.output}
        own |= _given(graph)
        for inner in graph.node:
            yield from (name for name in _names_read(inner) if name not in own)
        yield from (value.name for value in graph.output if value.name not in own)
