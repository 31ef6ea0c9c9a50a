"""Evaluates the constant parts of a graph in ONNX Runtime: weights that are computed from others.

Weight-standardised convolutions normalise their weights in the graph, quantisers store them in
other types, exporters transpose and reshape them.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import (
    onnxruntime_pybind11_state as ort_errors,  # pyright: ignore[reportAttributeAccessIssue] # native
)

from heatproof.graphs.constants import constant

FOLDING_BUDGET = 1 << 28
"""Elements that folding may read and create in one model (1 GiB of float32)."""

SMALL_TENSOR = 1 << 16
"""Elements of a result that any operator may be folded into."""

_GROWN_TENSOR = 1 << 20
"""Elements of a result that may be larger than what it is computed from."""

_PRODUCTS = 64
"""Multiply-adds that cost as much as reading an element."""

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


class Budget:
    """How many elements folding may still read and create."""

    def __init__(self, elements: int = FOLDING_BUDGET) -> None:
        self._left = elements

    def spend(self, elements: int) -> bool:
        """Takes a number off, or returns False if there is not enough left."""
        if elements > self._left:
            return False
        self._left -= elements
        return True


def elements_of(value: ir.Value | None) -> int:
    """Number of elements, beyond every budget when the shape is not known."""
    if value is None:
        return 0
    if value.shape is None or not value.shape.is_static():
        return FOLDING_BUDGET + 1
    return math.prod(value.shape.numpy())


def evaluate_constants(model: ir.Model, budget: Budget) -> None:
    """Replaces what is computed from constants alone by initializers, in place.

    1. Operators of linear cost, products of matrices and convolutions, within the budget.
    2. Results far larger than what they are computed from stay computed.
    3. Quantisation stays in the graph: ONNX Runtime has kernels for it.
    """
    graph = model.graph
    for part in _parts(_constant_nodes(graph, budget)):
        results = [v for node in part for v in node.outputs if _is_read_outside(v, part)]
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
        if node.domain == "" and _are_plain([*given, *node.outputs]):
            cost = _cost(node)
            if cost is not None and budget.spend(cost):
                found.append(node)
                computed.update(node.outputs)
    return found


def _are_plain(values: Sequence[ir.Value]) -> bool:
    """Whether the values can be handed to and from ONNX Runtime, and are no graph outputs."""
    return all(
        value.dtype in _PLAIN and elements_of(value) <= FOLDING_BUDGET
        for value in values
        if value.name  # optional outputs that nobody wants have none
    ) and not any(value.is_graph_output() for value in values)


def _cost(node: ir.Node) -> int | None:
    """Elements read and created, plus a share of the multiply-adds; None if it may not be run."""
    created = sum(elements_of(value) for value in node.outputs if value.name)
    read = sum(elements_of(value) for value in set(node.inputs))
    if created > max(read, _GROWN_TENSOR):
        return None
    if node.op_type in _LINEAR:
        return created + read
    terms = _TERMS.get(node.op_type)
    return None if terms is None else created + read + created * terms(node) // _PRODUCTS


def _sizes(node: ir.Node, index: int) -> list[int]:
    value = node.inputs[index]
    return [] if value is None or value.shape is None else list(value.shape.numpy())


def _kernel(node: ir.Node) -> int:
    return math.prod(_sizes(node, 1)[1:])


_TERMS: Mapping[str, Callable[[ir.Node], int]] = MappingProxyType(
    {
        "Conv": _kernel,
        "ConvTranspose": lambda node: math.prod(_sizes(node, 1)),
        "MatMul": lambda node: _sizes(node, 0)[-1],
        "Gemm": lambda node: max(_sizes(node, 0)),
    }
)
"""Upper bounds on the terms of the sums that each element of a result is."""

_LINEAR = frozenset(
    {
        "Abs", "Add", "And", "BatchNormalization", "Cast", "CastLike", "Ceil", "Clip", "Concat",
        "Cos", "CumSum", "DepthToSpace", "Div", "Equal", "Erf", "Exp", "Expand", "Flatten",
        "Floor", "Gather", "GatherElements", "Greater", "GreaterOrEqual", "GroupNormalization",
        "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization", "LayerNormalization",
        "Less", "LessOrEqual", "Log", "LpNormalization", "Max", "Mean",
        "MeanVarianceNormalization", "Min", "Mul", "Neg", "Not", "Or", "Pad", "Pow", "Reciprocal",
        "ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
        "ReduceSumSquare", "Relu", "Reshape", "Resize", "Round", "ScatterElements", "ScatterND",
        "Sigmoid", "Sign", "Sin", "Slice", "Softmax", "SpaceToDepth", "Split", "Sqrt", "Squeeze",
        "Sub", "Sum", "Tanh", "Tile", "Transpose", "Trilu", "Unsqueeze", "Where",
    }
)  # fmt: skip

_PLAIN = frozenset(
    {ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.DOUBLE, ir.DataType.BOOL}
    | {ir.DataType.INT64, ir.DataType.INT32, ir.DataType.INT8, ir.DataType.UINT8}
)


def _parts(nodes: Sequence[ir.Node]) -> Iterator[list[ir.Node]]:
    """Groups of nodes that read one another, in order: one for each weight, mostly."""
    parts: dict[ir.Node, list[ir.Node]] = {}
    for node in nodes:
        joined = [node]
        for value in node.inputs:
            producer = None if value is None else value.producer()
            if producer in parts and parts[producer] is not joined:
                earlier = parts[producer]
                joined = earlier if joined == [node] else _merged(earlier, joined, parts)
                if node not in joined:
                    joined.append(node)
        parts[node] = joined
    order = {node: place for place, node in enumerate(nodes)}
    for part in {id(part): part for part in parts.values()}.values():
        yield sorted(part, key=order.__getitem__)


def _merged(
    earlier: list[ir.Node], later: list[ir.Node], parts: dict[ir.Node, list[ir.Node]]
) -> list[ir.Node]:
    earlier.extend(node for node in later if node not in earlier)
    for node in later:
        parts[node] = earlier
    return earlier


def _is_read_outside(value: ir.Value, part: Sequence[ir.Node]) -> bool:
    return any(reader not in part for reader in value.consumers())


def _run(
    part: Sequence[ir.Node], results: Sequence[ir.Value], opset_imports: Mapping[str, int]
) -> list[NDArray[np.generic]]:
    """Runs nodes on their constants; [] where ONNX Runtime cannot."""
    copies: dict[ir.Value | None, ir.Value | None] = {None: None}
    nodes = [_copied(node, copies) for node in part]
    constants = [value for value in copies.values() if value is not None and value.const_value]
    lent = [value for value in constants if elements_of(value) > _LENT]
    outputs = [copy for value in results if (copy := copies[value]) is not None]
    graph = ir.Graph(
        lent,
        outputs,
        nodes=nodes,
        initializers=[value for value in constants if value not in lent],
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
