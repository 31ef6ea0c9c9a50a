"""Scales the channels of a tensor by an input: what a model answers without some of its channels.

Ablation-CAM (Desai and Ramaswamy 2020, WACV) sets one channel after the other to zero.
"""

from typing import Final

import onnx_ir as ir

from heatproof.evaluators.errors import UnknownNameError, UnsupportedModelError
from heatproof.graphs.nodes.surroundings import mark_surrounding
from heatproof.graphs.operators.emitter import Emitter

GATE_INPUT: Final = "gate"
"""Added input, float32 [N, channels]: the factors of the channels."""


def gated(model: ir.Model, tensor: str, *, axis: int = 1) -> ir.Model:
    """Returns a copy of a model in which an input scales the channels of a tensor.

    All readers of the tensor, outputs of the model included, read the product of the tensor and
    `GATE_INPUT`, which is computed in the tensor's element type and takes over its name. Gates of
    1 keep every bit of the answers.

    Args:
        model: any model with inferred shapes; not changed.
        tensor: a floating tensor that the graph computes, batch first.
        axis: of its channels, from 1 on.

    Raises:
        UnknownNameError: the graph computes no such tensor; offers the nearest name.
        UnsupportedModelError: the tensor is not floating or has no fixed number of channels, or the
            model has a tensor named `GATE_INPUT` already.
    """
    copy = model.clone()
    graph = copy.graph
    computed = {value.name: value for node in graph for value in node.outputs if value.name}
    if tensor not in computed:
        raise UnknownNameError.among("tensor", tensor, computed)
    if GATE_INPUT in {*computed, *graph.initializers, *(value.name for value in graph.inputs)}:
        raise UnsupportedModelError(
            f"the model has a tensor {GATE_INPUT!r} already: it is gated already, or the tensor "
            "must be renamed in the export"
        )
    _gate(graph, computed[tensor], axis)
    return copy


def _gate(graph: ir.Graph, value: ir.Value, axis: int) -> None:
    """Puts the product in the place of a value."""
    readers = tuple(value.uses())
    gate, channels = _gate_input(value, axis)
    graph.inputs.append(gate)
    product = _product(graph, value, gate, {axis: channels})
    value.name, product.name = f"{value.name}/ungated", value.name
    for node, index in readers:
        node.replace_input_with(index, product)
    for index, output in enumerate(graph.outputs):
        if output is value:
            graph.outputs[index] = product


def _gate_input(value: ir.Value, axis: int) -> tuple[ir.Value, int]:
    """The new input, and the number of its channels."""
    shape, dtype = value.shape, value.dtype
    channels = shape[axis] if shape is not None and 1 <= axis < shape.rank() else None
    is_floating = dtype is not None and dtype.is_floating_point()
    if shape is None or not isinstance(channels, int) or not is_floating:
        raise UnsupportedModelError(
            f"{value.name!r} is {dtype} {shape}; only floating tensors with a fixed number of "
            f"channels on axis {axis} can be gated"
        )
    gate = ir.val(GATE_INPUT, ir.DataType.FLOAT, ir.Shape([shape[0], channels]))
    return mark_surrounding(gate), channels


def _product(graph: ir.Graph, value: ir.Value, gate: ir.Value, sizes: dict[int, int]) -> ir.Value:
    """A value times a gate whose channels lie on the axis of `sizes`."""
    op = Emitter(graph)
    op.before(_following(graph, value))
    rank = 0 if value.shape is None else value.shape.rank()
    target = [0, *(sizes.get(axis, 1) for axis in range(1, rank))]  # 0: as long as the batch
    shape = [None if gate.shape is None else gate.shape[0], *target[1:]]
    factors = op("Reshape", gate, op.integers(*target), like=gate, shape=shape)
    if value.dtype is not None and value.dtype != ir.DataType.FLOAT:
        factors = op("Cast", factors, like=factors, dtype=value.dtype, to=int(value.dtype))
    return op("Mul", value, factors, like=value)


def _following(graph: ir.Graph, value: ir.Value) -> ir.Node | None:
    """The node behind the one that computes a value."""
    nodes = iter(graph)
    producer = value.producer()
    next(node for node in nodes if node is producer)
    return next(nodes, None)
