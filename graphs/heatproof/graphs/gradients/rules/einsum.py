"""Gradients of Einsum: einsums of dy and the other factors."""

from itertools import pairwise

import numpy as np
import onnx_ir as ir

from heatproof.graphs.gradients.broadcasting import known_sizes, spread_as
from heatproof.graphs.gradients.emitter import GradientEmitter
from heatproof.graphs.gradients.table import GRADIENTS, Gradients
from heatproof.graphs.operators.equations import Equation, read_equation


@GRADIENTS.family({"Einsum": (12, 28)})
def einsum(node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:
    """Gives d x_i = einsum of dy and the other factors, to the indices of x_i."""
    factors = [value for value in node.inputs if value is not None]
    ranks = [len(known_sizes(value, op)) for value in factors]
    equation = read_equation(node.attributes.get_string("equation", ""), ranks)
    (gradient,) = gradients
    return [
        None
        if gradient is None or factor not in op.active
        else _by_factor(equation, (factors, position), gradient, op)
        for position, factor in enumerate(factors)
    ]


def _by_factor(
    equation: Equation, factor: tuple[list[ir.Value], int], gradient: ir.Value, op: GradientEmitter
) -> ir.Value:
    """The einsum of all but one factor, spread over the indices that only this one has."""
    factors, position = factor
    x, own = factors[position], equation.terms[position]
    others = [k for k in range(len(factors)) if k != position]
    terms = [equation.result, *(equation.terms[k] for k in others)]
    shared = "".join(letter for letter in dict.fromkeys(own) if letter in "".join(terms))
    product = op(
        "Einsum",
        gradient,
        *(factors[k] for k in others),
        equation=f"{','.join(terms)}->{shared}",
    )
    seen = enumerate(own)
    alone = [k for k, letter in seen if letter not in shared or letter in own[:k]]
    if alone:
        product = op.over("Unsqueeze", product, alone)
    sizes = zip(own, known_sizes(x, op), strict=True)
    stretched = [k for k, (letter, size) in enumerate(sizes) if size == 1 and letter in shared]
    product = op.sum_over(product, stretched)  # along which the factor was broadcast
    return _on_diagonals(x, own, spread_as(x, product, op) if alone else product, op)


def _on_diagonals(x: ir.Value, term: str, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
    """Keeps a gradient where the positions along axes of one letter agree."""
    known = known_sizes(x, op)
    for letter in {letter for letter in term if term.count(letter) > 1}:
        axes = [axis for axis, other in enumerate(term) if other == letter]
        length = known[axes[0]]
        if length is None:
            raise op.refusal(f"the diagonal {letter!r} has a dynamic size")
        for before, after in pairwise(axes):
            shape = [length if axis in (before, after) else 1 for axis in range(len(term))]
            gradient = op(
                "Mul", gradient, op.constant(np.eye(length, dtype=op.dtype).reshape(shape))
            )
    return gradient
