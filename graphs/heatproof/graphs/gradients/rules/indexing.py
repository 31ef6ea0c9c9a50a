"""Gradients of operators that pick elements by index, or put them there.

Picking and adding up in the same places are transposes of each other. ScatterElements adds up from
opset 16 on; before, it serves where no place is taken twice.
"""

import math

import numpy as np
import onnx_ir as ir

from heatproof.graphs.gradients.broadcasting import known_sizes, shaped_as
from heatproof.graphs.gradients.emitter import GradientEmitter
from heatproof.graphs.gradients.rules.shapes import length_of, put, scattered, scattered_at_run_time
from heatproof.graphs.gradients.table import GRADIENTS, Gradients, by_input, constant_of, first

_ADDING_OPSET = 16
_LARGEST_SELECTION = 1 << 22  # elements of a matrix that adds up repeated places


@by_input({"Gather": (11, 13)})
def gather(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Adds dy up in the places it was taken from."""
    x, indices = first(node), node.inputs[1]
    if indices is None:
        raise op.refusal("it has no indices")
    known, taken = known_sizes(x, op), len(known_sizes(indices, op))
    axis = node.attributes.get_int("axis", 0) % len(known)
    tensor = ir.convenience.get_const_tensor(indices)
    length, rest = known[axis], known[axis + 1 :]
    count, along = length_of(x, axis, op), (axis, len(known))
    if tensor is None or length is None or rest.count(None) > 1:
        _require_adding(op)
        return scattered_at_run_time(gradient, (indices, taken), count, along, op)
    places = tensor.numpy().reshape(-1) % length
    if taken != 1:
        after = [-1 if size is None else size for size in rest]
        gradient = op("Reshape", gradient, op.integers(*([0] * axis + [len(places), *after])))
    if length * len(places) > _LARGEST_SELECTION and op.opset >= _ADDING_OPSET:
        flat = op.constant(places.astype(np.int64))
        return scattered_at_run_time(gradient, (flat, 1), count, along, op)
    return scattered(gradient, places, length, along, op)


def _require_adding(op: GradientEmitter) -> None:
    if op.opset < _ADDING_OPSET:
        raise op.refusal(f"computed indices need opset {_ADDING_OPSET}; export with that or later")


@by_input({"GatherElements": (11, 13)})
def gather_elements(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Adds dy up along the axis, in the places it was taken from."""
    x, indices = first(node), node.inputs[1]
    axis = node.attributes.get_int("axis", 0)
    if op.opset < _ADDING_OPSET:
        return _selected(x, indices, gradient, axis, op)
    given = (indices, gradient)
    return put(op("Shape", x), given, op, axis=axis, reduction="add")


def _selected(
    x: ir.Value, indices: ir.Value | None, gradient: ir.Value, axis: int, op: GradientEmitter
) -> ir.Value:
    """Adds up along an axis by a product with one-hot vectors of the indices."""
    known = known_sizes(x, op)
    axis %= len(known)
    picked = None if indices is None else known_sizes(indices, op)
    others = [None if p != k else p for p, k in zip(picked or known, known, strict=True)]
    length = known[axis]
    if picked is None or length is None or None in others[:axis] + others[axis + 1 :]:
        raise op.refusal(f"before opset {_ADDING_OPSET} its sizes must be static and equal")
    order = [*(k for k in range(len(known)) if k != axis), axis]
    places = op("Transpose", indices, perm=order)
    depth, values = op.constant(np.array(length)), op.constant(np.array([0, 1], op.dtype))
    one_hot = op("OneHot", places, depth, values)
    row = op.over("Unsqueeze", op("Transpose", gradient, perm=order), [len(known) - 1])
    total = op.over("Squeeze", op("MatMul", row, one_hot), [len(known) - 1])
    return op("Transpose", total, perm=[int(k) for k in np.argsort(order)])


@by_input({"GatherND": (11, 12, 13)})
def gather_nd(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Adds dy up in the places it was taken from."""
    x, indices = first(node), node.inputs[1]
    if node.attributes.get_int("batch_dims", 0):
        indices = _with_batch_indices(node, op)
    if indices is None or not (taken := known_sizes(indices, op)):
        raise op.refusal("it has no indices")
    if op.opset < _ADDING_OPSET and not _are_unique(constant_of(indices, "its indices", op)):
        raise op.refusal(f"repeated indices need opset {_ADDING_OPSET}")
    known, depth = known_sizes(x, op), taken[-1]
    if depth is None or None in known[:depth]:
        raise op.refusal("the sizes of the axes that it takes from are dynamic")
    sizes = [size or 0 for size in known[:depth]]
    strides = [math.prod(sizes[k + 1 :]) for k in range(depth)]
    positive = op("Mod", indices, op.integers(*sizes))  # negative indices count from the end
    flat = op.sum_over(op("Mul", positive, op.integers(*strides)), [len(taken) - 1], keepdims=False)
    along = (0, len(known) - depth + 1)
    count = op.integers(math.prod(sizes))
    return shaped_as(
        x, scattered_at_run_time(gradient, (flat, len(taken) - 1), count, along, op), op
    )


def _are_unique(indices: np.ndarray) -> bool:
    rows = indices.reshape(-1, indices.shape[-1])
    return not (rows < 0).any() and len(np.unique(rows, axis=0)) == len(rows)


def _with_batch_indices(node: ir.Node, op: GradientEmitter) -> ir.Value:
    """Indices that name the batch too: those of the batch, then the given ones."""
    batch = node.attributes.get_int("batch_dims", 0)
    indices = constant_of(node.inputs[1], "its indices", op)
    grid = np.moveaxis(np.indices(indices.shape[:-1])[:batch], 0, -1)
    return op.constant(np.concatenate([grid, indices], axis=-1).astype(np.int64))


@GRADIENTS.family({"ScatterND": (11, 13, 16, 18)})
def scatter_nd(node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:
    """Updates get dy from their places; so does the data from all others, or where they add."""
    (gradient,), (_, indices, updates) = gradients, node.inputs
    adds = _adds(node, op)
    kept = gradient if adds else op("ScatterND", gradient, indices, _zeros_as(updates, op))
    return [kept, None, op("GatherND", gradient, indices)]


@GRADIENTS.family({"ScatterElements": (11, 13, 16, 18)})
def scatter_elements(node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:
    """Updates get dy from their places; so does the data from all others, or where they add."""
    (gradient,), (_, indices, updates) = gradients, node.inputs
    axis, adds = node.attributes.get_int("axis", 0), _adds(node, op)
    zeros = None if adds else _zeros_as(updates, op)
    kept = gradient if adds else op("ScatterElements", gradient, indices, zeros, axis=axis)
    return [kept, None, op("GatherElements", gradient, indices, axis=axis)]


def _zeros_as(value: ir.Value | None, op: GradientEmitter) -> ir.Value:
    return op("Expand", 0.0, op("Shape", value))


def _adds(node: ir.Node, op: GradientEmitter) -> bool:
    reduction = node.attributes.get_string("reduction", "none")
    if reduction not in ("none", "add"):
        raise op.refusal(f"reduction {reduction} is not supported; none and add are")
    return reduction == "add"


@GRADIENTS.family({"TopK": (11, 24)})
def top_k(node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:
    """Puts dy in the places of the chosen elements, zeros elsewhere."""
    (gradient, _), shape = gradients, op("Shape", first(node))
    if gradient is None:
        raise op.refusal("its indices are differentiated")
    given, axis = (node.outputs[1], gradient), node.attributes.get_int("axis", -1)
    return [put(shape, given, op, axis=axis)]
