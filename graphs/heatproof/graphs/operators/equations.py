"""Equations of Einsum."""

import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


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
    """Spells an equation out; axes of ellipses are letters counted from the last.

    Raises:
        ValueError: there are not as many terms as operands.
    """
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
