"""Gradients of matrix products."""

import numpy as np
import onnx_ir as ir

from heatproof.graphs.gradients.broadcasting import known_sizes, shaped_as, summed_to
from heatproof.graphs.gradients.emitter import GradientEmitter
from heatproof.graphs.gradients.table import GRADIENTS, Gradients


@GRADIENTS.family({"Gemm": (11, 13)})
def gemm(node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:
    """For y = alpha a b + beta c, a and b possibly transposed."""
    gradient = gradients[0]
    a, b, c = (*node.inputs, None)[:3]
    ta, tb = (node.attributes.get_int(name, 0) for name in ("transA", "transB"))
    alpha = node.attributes.get_float("alpha", 1.0)
    da = db = dc = None
    if a in op.active:
        left, right, flips = (b, gradient, (tb, 1)) if ta else (gradient, b, (0, 1 - tb))
        da = op("Gemm", left, right, alpha=alpha, transA=flips[0], transB=flips[1])
    if b in op.active:
        left, right, flips = (gradient, a, (1, ta)) if tb else (a, gradient, (1 - ta, 0))
        db = op("Gemm", left, right, alpha=alpha, transA=flips[0], transB=flips[1])
    if c is not None and c in op.active and gradient is not None:
        scaled = op("Mul", gradient, node.attributes.get_float("beta", 1.0))
        dc = summed_to(c, scaled, node.outputs[0].shape, op)
    return [da, db, dc]


@GRADIENTS.family({"MatMul": (9, 13)})
def matmul(node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:
    """Gives da = dy b^T and db = a^T dy, summed over broadcast axes; vectors become matrices."""
    a, b = node.inputs
    gradient = gradients[0]
    if a is None or b is None or gradient is None:
        raise op.refusal("a factor is missing")
    a_is_row, b_is_column = (len(known_sizes(value, op)) == 1 for value in (a, b))
    if b_is_column:
        gradient = op.over("Unsqueeze", gradient, [-1])
    if a_is_row:
        gradient = op.over("Unsqueeze", gradient, [-2])
    left = op.over("Unsqueeze", a, [0]) if a_is_row else a
    right = op.over("Unsqueeze", b, [1]) if b_is_column else b
    batch = _batch(node, a_is_row=a_is_row, b_is_column=b_is_column)
    da = db = None
    if a in op.active:
        da = op("MatMul", gradient, _swapped(right, b, op))
        da = _to_factor(a, da, batch, op)
    if b in op.active:
        db = op("MatMul", _swapped(left, a, op), gradient)
        db = _to_factor(b, db, batch, op)
    return [da, db]


def diagonal_product(node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:
    """Gives da = dy diag(b), for a product that counts as one with the diagonal of b."""
    matrix = node.inputs[1]
    if matrix is None or matrix in op.active:
        raise op.refusal("its matrix is missing or differentiated")
    *batch, size, _ = known_sizes(matrix, op)
    if size is None:
        raise op.refusal("the size of its matrix is dynamic")
    diagonal = op("Mul", matrix, op.constant(np.eye(size, dtype=op.dtype)))
    return [op("Mul", gradients[0], op.sum_over(diagonal, [len(batch)]))]


def _batch(
    node: ir.Node, *, a_is_row: bool, b_is_column: bool
) -> list[int | ir.SymbolicDim] | None:
    """Axes of the output before those of the matrices."""
    shape = node.outputs[0].shape
    return None if shape is None else list(shape)[: shape.rank() - 2 + a_is_row + b_is_column]


def _swapped(matrix: ir.Value, factor: ir.Value, op: GradientEmitter) -> ir.Value:
    """Transposes the last two axes; constants when the graph is written."""
    tensor = ir.convenience.get_const_tensor(matrix)
    if tensor is not None:
        return op.constant(tensor.numpy().swapaxes(-1, -2))
    rank = max(2, len(known_sizes(factor, op)))
    return op("Transpose", matrix, perm=[*range(rank - 2), rank - 1, rank - 2])


def _to_factor(
    factor: ir.Value,
    gradient: ir.Value,
    batch: list[int | ir.SymbolicDim] | None,
    op: GradientEmitter,
) -> ir.Value:
    """From [*batch, m, k] to the shape of a factor."""
    if factor.shape is None or batch is None:
        return summed_to(factor, gradient, None, op)
    if factor.shape.rank() == 1:
        total = op.sum_over(gradient, list(range(len(batch))))
        return shaped_as(factor, total, op)
    return summed_to(factor, gradient, ir.Shape([*batch, *list(factor.shape)[-2:]]), op)
