"""Matrix products: over channels they keep the mask, over cells they must be a weighted mean.

A product is described as in an Einstein sum: a label for each axis of each operand and of the
result; labels that the result lacks are summed over.
"""

import string
from collections.abc import Hashable, Sequence

import onnx_ir as ir

from heatproof.graphs.masking.rules.arithmetic import covers, is_finite_operand
from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import Axes, Flat, Spatial
from heatproof.graphs.masking.table import RULES

TOKEN_MIXING = "it mixes positions by learned weights (token mixing), each for its own place"
ATTENTION = "it weighs cells by other cells (query-key attention)"
CROSS_COVARIANCE = "it sums products of cells over space (cross-covariance attention)"

Labels = Sequence[Hashable]


@RULES.rule("MatMul", 1, 9, 13)
def matrix_product(node: ir.Node, scope: Scope) -> Spatial | Flat:
    """Over channels: keeps the mask. Over cells that softmax weighs: X.M, both. Else refused."""
    ranks = [_rank(value, node, scope) for value in node.inputs]
    batch = list(range(max(max(ranks) - 2, 0)))
    first = ["k"] if ranks[0] == 1 else [*batch[len(batch) + 2 - ranks[0] :], "m", "k"]
    second = ["k"] if ranks[1] == 1 else [*batch[len(batch) + 2 - ranks[1] :], "k", "n"]
    result = [*batch, *(["m"] if ranks[0] > 1 else []), *(["n"] if ranks[1] > 1 else [])]
    return _contracted(node, scope, [first, second], result)


@RULES.rule("Gemm", 7, 9, 11, 13)
def general_matrix_product(node: ir.Node, scope: Scope) -> Spatial | Flat:
    """A dense layer on a flattened map of one channel: X.M."""
    first, second = ["m", "k"], ["k", "n"]
    if node.attributes.get_int("transA", 0):
        first.reverse()
    if node.attributes.get_int("transB", 0):
        second.reverse()
    if len(node.inputs) > 2 and isinstance(scope.state(node.inputs[2]), Spatial):
        raise scope.refusal(node, "its bias has spatial axes")
    return _contracted(node, scope, [first, second], ["m", "n"])


@RULES.rule("Einsum", 12, 28)
def einstein_sum(node: ir.Node, scope: Scope) -> Spatial | Flat:
    """As MatMul, for any sum of products."""
    equation = node.attributes.get_string("equation", "").replace(" ", "")
    terms, arrow, result = equation.partition("->")
    operands = terms.split(",")
    if not arrow:
        letters = sorted(set(terms) & set(string.ascii_letters))
        result = "".join(letter for letter in letters if terms.count(letter) == 1)
    if "." in equation or any(len(set(one)) < len(one) for one in (*operands, result)):
        raise scope.refusal(node, f"its equation {equation!r} has an ellipsis or a diagonal")
    return _contracted(node, scope, operands, result)


def _contracted(
    node: ir.Node, scope: Scope, operands: Sequence[Labels], result: Labels
) -> Spatial | Flat:
    for value, labels in zip(node.inputs, operands, strict=False):
        if scope.state(value) is not None and (not result or labels[0] != result[0]):
            raise scope.refusal(node, "it moves or mixes the images of a batch")
    spatial = scope.spatial_inputs(node)
    cells = {operands[index][axis] for index, state in spatial for axis in state.axes.spatial}
    gone = cells.difference(result)
    if not gone:
        return _kept(node, scope, operands, result)
    if len(spatial) == 1:
        return _dense(node, scope, operands, result)
    return _pooled(node, scope, operands, gone == cells)


def _kept(node: ir.Node, scope: Scope, operands: Sequence[Labels], result: Labels) -> Spatial:
    """The state of a product in which every cell reads the same cell of each operand."""
    states = [state for _, state in scope.spatial_inputs(node)]
    joint: Axes | None = Axes(len(result), None, None)
    for index, state in scope.spatial_inputs(node):
        moved = state.axes.moved(len(result), _places(operands[index], result).__getitem__)
        joint = None if joint is None else joint.joined(moved)
    if joint is None:
        raise scope.refusal(node, ATTENTION)
    mask = scope.masks.intersection([state.mask for state in states])
    if not covers(mask, joint, node.outputs[0]):
        raise scope.refusal(node, "it repeats a row or a column of its operand")
    return Spatial(mask, joint, all(is_finite_operand(value, scope) for value in node.inputs))


def _dense(node: ir.Node, scope: Scope, operands: Sequence[Labels], result: Labels) -> Flat:
    """Cells summed with constant weights: sound where nothing but the batch is left of them."""
    index, state = scope.spatial_inputs(node)[0]
    value = node.inputs[index]
    if any(isinstance(scope.state(other), Flat) for other in node.inputs):
        raise scope.refusal(node, ATTENTION)
    labels = operands[index]
    sizes = list(value.shape or ()) if value is not None else []
    left = [size for label, size in zip(labels, sizes, strict=True) if label in result][1:]
    if value is None or any(size != 1 for size in left):
        raise scope.refusal(node, TOKEN_MIXING)
    node.replace_input_with(index, scope.visible(value, state))
    return scope.exit([state.mask])


def _pooled(node: ir.Node, scope: Scope, operands: Sequence[Labels], all_cells: bool) -> Flat:  # noqa: FBT001 # one caller
    """Values summed with weights that a softmax over the same cells made."""
    spatial = scope.spatial_inputs(node)
    cells = [{operands[index][axis] for axis in state.axes.spatial} for index, state in spatial]
    same = all(one == cells[0] for one in cells)
    if not any(state.weights for _, state in spatial):
        raise scope.refusal(node, CROSS_COVARIANCE if same and all_cells else ATTENTION)
    if not same or not all_cells:
        raise scope.refusal(node, ATTENTION)
    for index, state in spatial:
        value = node.inputs[index]
        if value is not None:
            node.replace_input_with(index, scope.visible(value, state))
    return scope.exit([state.mask for _, state in spatial])


def _places(labels: Labels, result: Labels) -> dict[int, int]:
    """Where the axes of an operand lie in the result."""
    where = {label: place for place, label in enumerate(result)}
    return {axis: where[label] for axis, label in enumerate(labels) if label in where}


def _rank(value: ir.Value | None, node: ir.Node, scope: Scope) -> int:
    if value is None or value.shape is None:
        raise scope.refusal(node, "the shape of an operand is not known")
    return value.shape.rank()
