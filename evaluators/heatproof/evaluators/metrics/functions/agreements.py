"""Agreement of two rankings of cells; None where there is nothing to agree on.

The measures of the top cells follow Krishna et al. 2022, arXiv 2202.01602.
"""

from dataclasses import dataclass

import numpy as np
import scipy
from jaxtyping import Float64, Int64

from heatproof.evaluators.metrics.functions.correlations import is_constant
from heatproof.evaluators.regions.grid import Order, comparable

Top = Int64[np.ndarray, "top"]
CellValues = Float64[np.ndarray, "cells"]


@dataclass(frozen=True, slots=True, eq=False)
class TopCells:
    """The cells of largest magnitude.

    Attributes:
        order: these cells, the largest first.
        signs: the sign of every cell of the map.
    """

    order: Top
    signs: Int64[np.ndarray, "cells"]

    @classmethod
    def of(cls, order: Order, sums: CellValues, count: int) -> "TopCells":
        """The first of an order of all cells, with the signs of their sums."""
        return cls(order[:count], np.sign(comparable(sums)).astype(np.int64))

    def common(self, other: "TopCells") -> Int64[np.ndarray, "common"]:
        """Cells that both hold."""
        return np.intersect1d(self.order, other.order)

    def agreement(self, other: "TopCells") -> float:
        """Share of the cells that both hold."""
        return self.common(other).size / self.order.size

    def sign_agreement(self, other: "TopCells") -> float:
        """Share of the cells that both hold with one sign."""
        common = self.common(other)
        return int((self.signs[common] == other.signs[common]).sum()) / self.order.size

    def rank_agreement(self, other: "TopCells") -> float:
        """Share of the places that hold one cell in both."""
        return int((self.order == other.order).sum()) / self.order.size

    def signed_rank_agreement(self, other: "TopCells") -> float:
        """Share of the places that hold one cell with one sign in both."""
        held = self.order[self.order == other.order]
        return int((self.signs[held] == other.signs[held]).sum()) / self.order.size


def kendall(a: CellValues, b: CellValues) -> float | None:
    """Kendall's tau-b, which corrects for ties; in [-1, 1]."""
    if is_constant(a) or is_constant(b):
        return None
    return float(scipy.stats.kendalltau(comparable(a), comparable(b), variant="b").statistic)


def pairwise_rank_agreement(a: CellValues, b: CellValues) -> float:
    """Share of the pairs of cells that both put in one order, or both hold equal; in [0, 1]."""
    levels, others = comparable(a), comparable(b)
    agreeing = 0
    for cell in range(a.size - 1):
        mine = np.sign(levels[cell + 1 :] - levels[cell])
        agreeing += int((mine == np.sign(others[cell + 1 :] - others[cell])).sum())
    return agreeing / (a.size * (a.size - 1) // 2)


def ndcg(order: Order, gains: CellValues) -> float | None:
    """Gain of cells in an order, discounted by `log2(place + 1)`, over that of the best order.

    Args:
        order: all cells.
        gains: of each cell, none negative; None is returned where all are 0.
    """
    discounts = 1 / np.log2(np.arange(2, gains.size + 2))
    best = float((np.sort(gains)[::-1] * discounts).sum())
    return float((gains[order] * discounts).sum() / best) if best > 0 else None
