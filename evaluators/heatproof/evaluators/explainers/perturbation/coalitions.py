"""Coalitions of regions, and the Shapley values that fit what a model answers to them."""

from dataclasses import dataclass
from math import comb

import numpy as np
from jaxtyping import Bool, Float64

from heatproof.evaluators.queries.sample import Sample

Shown = Bool[np.ndarray, "coalitions cells"]
"""Which regions each coalition shows: never none, never all."""


@dataclass(frozen=True, slots=True, eq=False)
class Coalitions:
    """Coalitions that are asked about.

    Attributes:
        shown: the regions of each.
        weights: how much each counts in the fit.
    """

    shown: Shown
    weights: Float64[np.ndarray, "coalitions"]

    @classmethod
    def of(cls, sample: Sample, cells: int, most: int) -> "Coalitions":
        """All coalitions by their Shapley weights if they are at most `most`, else drawn ones."""
        if 2**cells - 2 <= most:
            return cls._all(cells)
        return cls._drawn(sample, cells, most // 2)

    @classmethod
    def _all(cls, cells: int) -> "Coalitions":
        numbers = np.arange(1, 2**cells - 1)[:, None]
        shown = (numbers >> np.arange(cells)) % 2 == 1
        return cls(shown, np.array([shapley_weight(cells, int(k)) for k in shown.sum(axis=1)]))

    @classmethod
    def _drawn(cls, sample: Sample, cells: int, pairs: int) -> "Coalitions":
        """Sizes by what all coalitions of one weigh together, each with its complement.

        The same for all models and removal operators; more pairs keep those that were drawn.
        """
        rng = sample.rng("subsets/coalitions")
        sizes = np.arange(1, cells)
        chances = 1 / (sizes * (cells - sizes))
        cumulated = np.cumsum(chances / chances.sum())
        shown = np.zeros((2 * pairs, cells), np.bool_)
        for pair in range(pairs):
            size = 1 + int(np.searchsorted(cumulated[:-1], rng.random(), side="right"))
            shown[2 * pair, rng.permutation(cells)[:size]] = True
            shown[2 * pair + 1] = ~shown[2 * pair]
        return cls(shown, np.ones(len(shown)))

    def shapley_values(
        self, gains: Float64[np.ndarray, "coalitions"], whole: float
    ) -> Float64[np.ndarray, "cells"]:
        """Minimises `sum of weight (gain - shown . phi)^2` under the constraint `sum phi = whole`.

        Of several minima the one nearest to equal shares. NaN where a gain is not finite.

        Args:
            gains: what each coalition answers more than nothing at all.
            whole: what all regions answer more than nothing at all.
        """
        cells = self.shown.shape[1]
        if not np.isfinite(gains).all() or not np.isfinite(whole):
            return np.full(cells, np.nan)
        # phi is equal shares and a part that sums to 0, on which only centred rows act.
        shares = self.shown.mean(axis=1)
        roots = np.sqrt(self.weights)
        centred = (self.shown - shares[:, None]) * roots[:, None]
        apart = np.linalg.lstsq(centred, (gains - shares * whole) * roots)[0]
        return np.asarray(whole / cells + apart)


def shapley_weight(cells: int, size: int) -> float:
    """The weight of one coalition of a size: `(n - 1) / (binomial(n, k) k (n - k))`."""
    return (cells - 1) / (comb(cells, size) * size * (cells - size))
