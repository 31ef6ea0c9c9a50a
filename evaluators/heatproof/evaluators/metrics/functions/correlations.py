"""Correlations of two columns of numbers, None where a side is constant."""

from typing import Final

import numpy as np
import scipy
from jaxtyping import Float64

Numbers = Float64[np.ndarray, "numbers"]

CONSTANT: Final = 1e-12
"""A column is constant where it varies by no more than this share of its largest magnitude."""


def is_constant(values: Numbers, least: float = 0.0) -> bool:
    """Whether all numbers are one, up to rounding or to a change of `least`."""
    spread = float(values.max() - values.min())
    return spread <= max(CONSTANT * float(np.abs(values).max()), least)


def pearson(a: Numbers, b: Numbers) -> float | None:
    """Pearson's correlation, in [-1, 1]."""
    if is_constant(a) or is_constant(b):
        return None
    centred, other = a - a.mean(), b - b.mean()
    norms = np.linalg.norm(centred) * np.linalg.norm(other)
    return float(np.clip((centred * other).sum() / norms, -1, 1))


def spearman(a: Numbers, b: Numbers) -> float | None:
    """Pearson's correlation of the ranks, ties at their average rank; in [-1, 1]."""
    return pearson(scipy.stats.rankdata(a), scipy.stats.rankdata(b))


def cosine(a: Numbers, b: Numbers) -> float | None:
    """Cosine of the angle, in [-1, 1]; None where a side is zero."""
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    return float(np.clip((a * b).sum() / norms, -1, 1)) if norms > 0 else None
