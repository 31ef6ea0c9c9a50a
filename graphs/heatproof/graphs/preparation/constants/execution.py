"""Evaluates the constant parts of a graph in ONNX Runtime: weights that are computed from others.

Weight-standardised convolutions normalize their weights in the graph, quantizers store them in
other types, exporters transpose and reshape them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import (
    onnxruntime_pybind11_state as ort_errors,  # pyright: ignore[reportAttributeAccessIssue] # native
)

from heatproof.graphs.nodes.constants import constant
from heatproof.graphs.operators.traits import Trait, has
from heatproof.graphs.preparation.constants.costs import (
    FOLDING_BUDGET,
    Budget,
    created_by,
    elements_of,
    is_shaped_by_computed,
    read_by,
    wanted,
    work_of,
)

SMALL_TENSOR = 1 << 16
"""Elements of a result that any operator may be folded into."""

_GROWN_TENSOR = 1 << 20
"""Elements of a result that may be larger than what it is computed from."""

_IR_VERSION = 8
"""Of the models that are evaluated; any that knows initializers that are no inputs."""

_LENT = 1 << 10
"""Elements of the constants that are lent to ONNX Runtime as inputs, not copied into the graph."""

_QUIET = 4  # severity of fatal errors: what fails here fails again, and is told, in the model

_FAILURES = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)


def evaluate_constants(model: ir.Model, budget: Budget) -> None:
    """Replaces what is computed from constants alone by initializers, in place.

    1. Operators of linear cost, products of matrices and convolutions, within the budget.
    2. Results far larger than what they are computed from stay computed.
    3. Quantisation stays in the graph: ONNX Runtime has kernels for it.
    """
    graph = model.graph
    for part in _parts(_constant_nodes(graph, budget)):
        inside = set(part)
        results = [v for node in part for v in node.outputs if _is_read_outside(v, inside)]
        arrays = _run(part, results, graph.opset_imports) if results else []
        for value, array in zip(results, arrays, strict=False):
            replacement = constant(f"{value.name}/evaluated", array)
            graph.register_initializer(replacement)
            ir.convenience.replace_all_uses_with(value, replacement)


def _constant_nodes(graph: ir.Graph, budget: Budget) -> list[ir.Node]:
    """Nodes that read nothing but constants, and one another."""
    found: list[ir.Node] = []
    computed: set[ir.Value] = set()
    for node in graph:
        given = [value for value in node.inputs if value is not None]
        if not given or not all(v in computed or v.const_value is not None for v in given):
            continue
        if is_shaped_by_computed(node, computed):
            continue  # its size is a guess, or what the file says
        if node.domain == "" and _are_plain([*given, *wanted(node)]) and not _is_returned(node):
            cost = _cost(node)
            if cost is not None and budget.spend(cost):
                found.append(node)
                computed.update(node.outputs)
    return found


def _are_plain(values: Iterable[ir.Value | None]) -> bool:
    """Whether the values can be handed to and from ONNX Runtime."""
    return all(
        value is not None and value.dtype in _PLAIN and elements_of(value) <= FOLDING_BUDGET
        for value in values
    )


def _is_returned(node: ir.Node) -> bool:
    return any(value.is_graph_output() for value in (*node.inputs, *node.outputs) if value)


def _cost(node: ir.Node) -> int | None:
    """Elements read and created, plus a share of the multiply-adds; None if it may not be run."""
    if created_by(node) > max(read_by(node), _GROWN_TENSOR):
        return None
    return work_of(node) if has(node, Trait.EVALUATED) else None


_PLAIN = frozenset(
    {ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.DOUBLE, ir.DataType.BOOL}
    | {ir.DataType.INT64, ir.DataType.INT32, ir.DataType.INT8, ir.DataType.UINT8}
)


def _parts(nodes: Sequence[ir.Node]) -> Iterator[list[ir.Node]]:
    """Groups of nodes that read one another, in order: one for each weight, mostly."""
    leaders = {node: node for node in nodes}
    for node in nodes:
        for value in node.inputs:
            producer = None if value is None else value.producer()
            if producer in leaders:
                leaders[_leader(producer, leaders)] = _leader(node, leaders)
    parts: dict[ir.Node, list[ir.Node]] = {}
    for node in nodes:
        parts.setdefault(_leader(node, leaders), []).append(node)
    yield from parts.values()


def _leader(node: ir.Node, leaders: dict[ir.Node, ir.Node]) -> ir.Node:
    """The node that stands for the group of a node."""
    while leaders[node] is not node:
        leaders[node] = leaders[leaders[node]]
        node = leaders[node]
    return node


def _is_read_outside(value: ir.Value, part: AbstractSet[ir.Node]) -> bool:
    return any(reader not in part for reader in value.consumers())


def _run(
    part: Sequence[ir.Node], results: Sequence[ir.Value], opset_imports: Mapping[str, int]
) -> list[NDArray[np.generic]]:
    """Runs nodes on their constants; [] where ONNX Runtime cannot."""
    copies: dict[ir.Value | None, ir.Value | None] = {None: None}
    nodes = [_copied(node, copies) for node in part]
    constants = [value for value in copies.values() if value is not None and value.const_value]
    lent = [value for value in constants if elements_of(value) > _LENT]
    kept = [value for value in constants if elements_of(value) <= _LENT]
    outputs = [copy for value in results if (copy := copies[value]) is not None]
    graph = ir.Graph(
        lent,
        outputs,
        nodes=nodes,
        initializers=kept,
        opset_imports={"": opset_imports[""]},
        name="constants",
    )
    feeds = {value.name or "": value.const_value.numpy() for value in lent if value.const_value}
    try:
        return _evaluated(ir.Model(graph, ir_version=_IR_VERSION), feeds)
    except _FAILURES:  # of an operator without a kernel for its type: it stays
        return []


def _evaluated(
    model: ir.Model, feeds: Mapping[str, NDArray[np.generic]]
) -> list[NDArray[np.generic]]:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = _QUIET
    session = ort.InferenceSession(
        ir.to_proto(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return [np.asarray(array) for array in session.run(None, dict(feeds))]


def _copied(node: ir.Node, copies: dict[ir.Value | None, ir.Value | None]) -> ir.Node:
    for value in node.inputs:
        if value is not None and value not in copies:
            copies[value] = _copy_of(value)
    attributes = list(node.attributes.values())
    copy = ir.Node(
        "",
        node.op_type,
        [copies[value] for value in node.inputs],
        attributes,
        outputs=[_copy_of(value) for value in node.outputs],
        name=node.name,
    )
    copies.update(zip(node.outputs, copy.outputs, strict=True))
    return copy


def _copy_of(value: ir.Value) -> ir.Value:
    return ir.Value(
        name=value.name, shape=value.shape, type=value.type, const_value=value.const_value
    )
