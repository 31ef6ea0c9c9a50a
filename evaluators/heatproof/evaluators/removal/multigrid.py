"""Linear systems over the pixels of an image, whose unknowns are linked to their neighbours."""

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import scipy
from jaxtyping import Float64, Int64

Matrix: TypeAlias = "scipy.sparse.csr_array[np.float64]"
Unknowns: TypeAlias = Float64[np.ndarray, "unknowns channels"]
PixelIndices: TypeAlias = Int64[np.ndarray, "unknowns"]

_COARSEST: Final = 400
"""Unknowns of a system that is inverted as a whole."""

_AGGREGATE: Final = 3
"""Pixels along each side that become one unknown of the next system."""


@dataclass(frozen=True, slots=True, eq=False)
class _Level:
    """One system and the way to the next, coarser one.

    Attributes:
        matrix: the system.
        damping: of a Jacobi step, over the diagonal.
        prolongation: from the coarser unknowns to these.
        restriction: its transpose.
    """

    matrix: Matrix
    damping: Float64[np.ndarray, "unknowns 1"]
    prolongation: Matrix
    restriction: Matrix


class Multigrid:
    """An approximate inverse that is symmetric and positive definite, as its matrix has to be.

    One V-cycle of smoothed aggregation (Vanek, Mandel and Brezina 1996, doi 10.1007/BF02238511)
    over aggregates of 3 x 3 pixels. Conjugate gradients with it need about as many steps for large
    images as for small ones.

    Args:
        matrix: the system.
        rows: row of each unknown's pixel.
        columns: column of each unknown's pixel.
    """

    def __init__(self, matrix: Matrix, rows: PixelIndices, columns: PixelIndices) -> None:
        self._levels: list[_Level] = []
        while matrix.shape[0] > _COARSEST:
            rows, columns = rows // _AGGREGATE, columns // _AGGREGATE
            held = np.zeros((rows.max() + 1, columns.max() + 1), np.bool_)
            held[rows, columns] = True
            owners = (held.cumsum() - 1).reshape(held.shape)[rows, columns]
            level = _level(matrix, owners)
            self._levels.append(level)
            matrix = scipy.sparse.csr_array(level.restriction @ matrix @ level.prolongation)
            rows, columns = np.nonzero(held)
        self._inverse = np.linalg.inv(matrix.toarray())

    def __call__(self, residual: Unknowns) -> Unknowns:
        """About the solution of the system for this right side."""
        return self._cycle(residual, 0)

    def _cycle(self, residual: Unknowns, depth: int) -> Unknowns:
        if depth == len(self._levels):
            return np.asarray(self._inverse @ residual)
        level = self._levels[depth]
        x = level.damping * residual
        remaining = np.asarray(level.restriction @ (residual - level.matrix @ x))
        x = x + level.prolongation @ self._cycle(remaining, depth + 1)
        return np.asarray(x + level.damping * (residual - level.matrix @ x))


def _level(matrix: Matrix, owners: PixelIndices) -> _Level:
    unknowns = len(owners)
    diagonal = matrix.diagonal()
    # Bounds the eigenvalues of the matrix over its diagonal.
    bound = float((np.asarray(abs(matrix).sum(axis=1)).reshape(-1) / diagonal).max())
    damping = 4 / (3 * bound) / diagonal
    held = np.ones(unknowns), owners, np.arange(unknowns + 1)
    aggregates = scipy.sparse.csr_array(
        held, shape=(unknowns, int(owners.max()) + 1), dtype=np.float64
    )
    prolongation = scipy.sparse.csr_array(
        aggregates - scipy.sparse.diags_array(damping) @ (matrix @ aggregates)
    )
    return _Level(matrix, damping[:, None], prolongation, scipy.sparse.csr_array(prolongation.T))
