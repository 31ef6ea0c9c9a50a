"""Keeps sums from depending on the number of threads.

ONNX Runtime splits ReduceSum and ReduceMean over axes that directly follow the batch, such as the
channels of NCHW, by its number of threads once there are more threads than rows; the order of the
summands, and with it the last bits, follow. A convolution with a kernel of ones does not.
"""

import math

import numpy as np
import onnx_ir as ir

from heatproof.graphs.nodes.constants import constant, constant_operand

_SUMS = frozenset({"ReduceSum", "ReduceMean"})


def settle_sums(model: ir.Model) -> None:
    """Replaces sums over the axes 1 to k < rank - 1 by convolutions with ones, in place.

    Float32 only; the sizes but the batch must be known. Others stay as they are.
    """
    graph = model.graph
    for node in list(graph):
        sizes = _summed_sizes(node) if node.op_type in _SUMS and not node.domain else None
        if sizes is not None:
            _settle(graph, node, *sizes)


def _summed_sizes(node: ir.Node) -> tuple[list[int], int] | None:
    """Sizes of the operand but the batch, and how many of them are summed over."""
    x = node.inputs[0]
    if x is None or x.shape is None or x.dtype != ir.DataType.FLOAT:
        return None
    rank = x.shape.rank()
    rest = [size for size in x.shape[1:] if isinstance(size, int) and size > 0]
    axes = sorted(axis % rank for axis in _axes(node)) if rank else []
    if len(rest) != rank - 1 or axes != list(range(1, len(axes) + 1)) or not axes:
        return None
    return (rest, len(axes)) if len(axes) < rank - 1 else None


def _axes(node: ir.Node) -> list[int]:
    if "axes" in node.attributes:
        return list(node.attributes["axes"].as_ints())
    operand = constant_operand(node, 1)
    return [] if operand is None else [int(axis) for axis in operand.reshape(-1)]


def _settle(graph: ir.Graph, node: ir.Node, rest: list[int], summed: int) -> None:
    count = math.prod(rest[:summed])
    weight = 1 / count if node.op_type == "ReduceMean" else 1
    kept = [1] * summed if node.attributes.get_int("keepdims", 1) else []
    name = f"{node.name}/settled"
    flat = constant(f"{name}/flat", np.array([-1, count, math.prod(rest[summed:])], np.int64))
    ones = constant(f"{name}/ones", np.full((1, count, 1), weight, np.float32))
    shape = constant(f"{name}/shape", np.array([-1, *kept, *rest[summed:]], np.int64))
    for value in (flat, ones, shape):
        graph.register_initializer(value)
    rows = ir.node("Reshape", [node.inputs[0], flat], name=f"{name}/rows")
    total = ir.node("Conv", [rows.outputs[0], ones], name=f"{name}/sum")
    result = ir.node("Reshape", [total.outputs[0], shape], name=node.name)
    for index, new in enumerate((rows, total)):
        new.outputs[0].name = f"{name}/{index}"
    ir.convenience.replace_nodes_and_values(
        graph, node, [node], [rows, total, result], node.outputs, result.outputs
    )
