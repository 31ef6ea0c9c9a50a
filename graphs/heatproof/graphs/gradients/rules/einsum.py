"""Gradients of Einsum: einsums of dy and the other factors."""

import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import onnx_ir as ir

from heatproof.graphs.gradients.broadcasting import known_sizes, spread_as
from heatproof.graphs.gradients.emitter import GradientEmitter
from heatproof.graphs.gradients.table import GRADIENTS, Gradients


@dataclass(frozen=True, slots=True)
class Equation:
    """An equation with one letter per axis: no ellipsis, and with its result.

    Attributes:
        terms: letters of each factor.
        result: letters of the result.
    """

    terms: tuple[str, ...]
    result: str


def read_equation(text: str, ranks: Sequence[int]) -> Equation:
    """Spells an equation out; axes of ellipses are letters counted from the last."""
    terms, arrow, result = text.replace(" ", "").partition("->")
    free = [letter for letter in string.ascii_letters if letter not in text]
    written = terms.split(",")
    covered = [rank - len(term) + 3 for term, rank in zip(written, ranks, strict=True)]
    width = max((n for n, term in zip(covered, written, strict=True) if "..." in term), default=0)
    covering = "".join(free[:width])
    spelled = [
        term.replace("...", covering[width - n :]) if "..." in term else term
        for n, term in zip(covered, written, strict=True)
    ]
    if not arrow:
        counts = Counter("".join(written).replace(".", ""))
        once = sorted(letter for letter, count in counts.items() if count == 1)
        result = "..." + "".join(once) if width else "".join(once)
    return Equation(tuple(spelled), result.replace("...", covering))


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
