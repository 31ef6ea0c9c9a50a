"""Arms and contrasts: what the statistics resample, whole images at a time."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Bool, Float64

Column = Float64[np.ndarray, "images"]


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """A ratio of means over the images that have a score; a mean has denominators of 1.

    Attributes:
        numerators: one an image; 0 where not scored.
        denominators: one an image; 0 where not scored.
        scored: which images have a score.
    """

    numerators: Column
    denominators: Column
    scored: Bool[np.ndarray, "images"]

    @classmethod
    def of_mean(cls, values: Column) -> Self:
        """The mean of the values that are not NaN."""
        return cls.of_ratio(values, np.ones_like(values))

    @classmethod
    def of_ratio(cls, numerators: Column, denominators: Column) -> Self:
        """The ratio of the means, over images where neither value is NaN."""
        scored = np.isfinite(numerators) & np.isfinite(denominators)
        return cls(np.where(scored, numerators, 0.0), np.where(scored, denominators, 0.0), scored)

    @property
    def count(self) -> int:
        """Images with a score."""
        return int(self.scored.sum())

    def estimate(self) -> float:
        """The ratio of the means; NaN if nothing was scored or the denominators cancel."""
        denominator = self.denominators.sum()
        return float(self.numerators.sum() / denominator) if denominator else np.nan

    def on(self, images: Bool[np.ndarray, "images"]) -> Self:
        """The same arm on some of the images only."""
        return type(self)(self.numerators[images], self.denominators[images], self.scored[images])


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """An arm, or one arm less another over the same scored images.

    Attributes:
        arms: one or two arms.
    """

    arms: tuple[Arm, ...]

    @property
    def scored(self) -> Bool[np.ndarray, "images"]:
        """Which images have a score; the same for all arms."""
        return self.arms[0].scored

    @property
    def count(self) -> int:
        """Images with a score."""
        return self.arms[0].count

    @property
    def columns(self) -> Float64[np.ndarray, "images columns"]:
        """Numerators and denominators of the arms, in turn."""
        pairs = [column for arm in self.arms for column in (arm.numerators, arm.denominators)]
        return np.stack(pairs, axis=1)

    def estimate(self) -> float:
        """The first arm's estimate less the second's; NaN if either has none."""
        return _alternating([arm.estimate() for arm in self.arms])

    def standard_error(self) -> float:
        """Standard error of the estimate by its influence function; NaN below 2 images."""
        columns, images = self.columns, self.count
        if images < 2 or not np.isfinite(self.estimate()):
            return np.nan
        totals = columns.sum(axis=0)[None]
        squares = (columns.T @ columns)[None]
        return float(resampled(np.array([float(images)]), totals, squares)[1][0])


def resampled(
    counts: Float64[np.ndarray, "resamples"],
    totals: Float64[np.ndarray, "resamples columns"],
    squares: Float64[np.ndarray, "resamples columns columns"],
) -> tuple[Float64[np.ndarray, "resamples"], Float64[np.ndarray, "resamples"]]:
    """Estimates and standard errors of resamples of a contrast, from their sums.

    An arm's influence is `(u - R v) / mean(v)`, so that of a contrast is linear in the columns, and
    its sum of squares a quadratic form of their second moments.

    Args:
        counts: scored images.
        totals: sums of the columns.
        squares: sums of their products.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = totals[:, 0::2] / totals[:, 1::2]
        inverse_means = counts[:, None] / totals[:, 1::2]
        signs = np.array([1.0, -1.0])[: ratios.shape[1]]
        weights = np.empty_like(totals)
        weights[:, 0::2] = signs * inverse_means
        weights[:, 1::2] = -signs * inverse_means * ratios
        sums = np.einsum("ri,rij,rj->r", weights, squares, weights)
        errors = np.sqrt(np.maximum(sums, 0.0) / (counts * (counts - 1)))
    return ratios @ signs, errors


def _alternating(estimates: list[float]) -> float:
    return estimates[0] - sum(estimates[1:])
