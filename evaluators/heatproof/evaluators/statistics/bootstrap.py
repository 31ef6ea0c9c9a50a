"""Bootstrap-t: intervals of means, ratios of means and their differences.

Percentile and BCa intervals err at small n: at n = 8 they miss in 20 % and 18 % of samples instead
of 5 %. Studentised resampling holds its level (Efron and Tibshirani 1993, chapter 12).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from heatproof.evaluators.statistics.arms import Contrast, resampled

RESAMPLES: Final = 10_000
MIN_IMAGES: Final = 8
"""Fewer images give no interval."""
CHUNK_CELLS: Final = 4_000_000
"""Largest block of resampling weights in memory, in cells."""


@dataclass(frozen=True, slots=True, eq=False)
class Studentised:
    """The bootstrap distribution of one contrast.

    Attributes:
        estimate: the contrast's estimate.
        standard_error: of the estimate.
        pivots: `(resampled estimate - estimate) / resampled standard error`.
    """

    estimate: float
    standard_error: float
    pivots: Float64[np.ndarray, "resamples"]

    def limit(self, tail: float) -> float | None:
        """The limit that leaves `tail` of the confidence below it.

        None if so many resamples have no spread that the limit would be infinite.
        """
        if self.standard_error == 0:
            return self.estimate
        pivot = np.quantile(self.pivots, 1 - tail, method="inverted_cdf")
        limit = self.estimate - pivot * self.standard_error
        return float(limit) if np.isfinite(limit) else None


def bootstrap_t(contrasts: Sequence[Contrast], *, seed: int) -> tuple[Studentised | None, ...]:
    """Resamples whole images, the same ones for all contrasts, and studentises each.

    Args:
        contrasts: over the same images in the same order.
        seed: of the resamples.

    Returns:
        One distribution a contrast; None below 8 scored images or without an estimate.
    """
    if not contrasts:
        return ()
    moments = [_moments(contrast) for contrast in contrasts]
    sums = _resampled_sums(np.concatenate(moments, axis=1), np.random.default_rng(seed))
    ends = np.cumsum([block.shape[1] for block in moments])[:-1]
    parts = np.split(sums, ends, axis=1)
    return tuple(_studentise(*pair) for pair in zip(contrasts, parts, strict=True))


def _moments(contrast: Contrast) -> Float64[np.ndarray, "images moments"]:
    """Columns whose weighted sums give a resample's estimate and standard error."""
    columns = contrast.columns
    products = (columns[:, :, None] * columns[:, None, :]).reshape(len(columns), -1)
    return np.concatenate([contrast.scored[:, None].astype(np.float64), columns, products], axis=1)


def _resampled_sums(
    moments: Float64[np.ndarray, "images moments"], rng: np.random.Generator
) -> Float64[np.ndarray, "resamples moments"]:
    images = len(moments)
    chunk = max(1, CHUNK_CELLS // images)
    uniform = np.full(images, 1 / images)
    blocks = [
        rng.multinomial(images, uniform, size=min(chunk, RESAMPLES - start)) @ moments
        for start in range(0, RESAMPLES, chunk)
    ]
    return np.concatenate(blocks)


def _studentise(
    contrast: Contrast, sums: Float64[np.ndarray, "resamples moments"]
) -> Studentised | None:
    estimate, standard_error = contrast.estimate(), contrast.standard_error()
    if contrast.count < MIN_IMAGES or not np.isfinite(estimate):
        return None
    width = 2 * len(contrast.arms)
    squares = sums[:, 1 + width :].reshape(len(sums), width, width)
    estimates, errors = resampled(sums[:, 0], sums[:, 1 : 1 + width], squares)
    # Rounding leaves a residue where all resampled images are equal; it is no spread.
    errors[errors < 1e-7 * standard_error] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        pivots = (estimates - estimate) / errors
    # A resample at the estimate without spread says nothing; one off it is infinitely far.
    pivots[np.isnan(pivots)] = 0.0
    return Studentised(estimate, standard_error, pivots)
