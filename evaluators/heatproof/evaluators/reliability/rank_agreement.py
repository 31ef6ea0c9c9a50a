"""How alike images rank maps, and how alike maps and metrics rank images (Tomsett et al. 2020).

Every quantity is a function of sums over the images, so that whole units can be resampled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, TypeAlias

import krippendorff
import numpy as np
import scipy
from jaxtyping import Float64

from heatproof.evaluators.evaluation.results import Interval, Summary
from heatproof.evaluators.evaluation.summaries import LEVEL
from heatproof.evaluators.registry.parameters import Range
from heatproof.evaluators.statistics.groups.units import Units
from heatproof.evaluators.statistics.percentiles import SumStatistic, percentile_limits

MapScores: TypeAlias = Float64[np.ndarray, "images maps"]
"""MapScores of some images, all of them finite, counted so that higher is better."""

_FEWEST: Final = 2
_FEWEST_RANKED: Final = 3
_LEAST_VARIANCE: Final = 1e-12
_CORRELATION: Final = Range(-1, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """Images of which all maps have a score, and the units that they make up.

    Attributes:
        units: of all images that count.
        shared: places among these of the images that are read.
        seed: of the resamples.
    """

    units: Units
    shared: np.ndarray
    seed: int

    def summary(self, columns: np.ndarray, statistic: SumStatistic, ends: Range) -> Summary:
        """The statistic with its interval, of columns with a row for each image; none of none."""
        if not len(columns):
            return absent()
        rows, unit = np.unique(self.units.unit[self.shared], return_inverse=True)
        sums = np.zeros((len(rows), columns.shape[1]))
        np.add.at(sums, unit, columns)
        value = statistic(sums.sum(axis=0))
        if value is None:
            return absent()
        limits = percentile_limits(sums, statistic, ends, seed=self.seed, level=LEVEL)
        interval = None
        if limits is not None:
            interval = Interval(limits.lower, limits.upper, LEVEL, limits.method)
        return Summary(value, None, interval, len(self.shared), {}, len(rows))


def absent() -> Summary:
    """A quantity that there is none of."""
    return Summary(None, None, None, 0, {}, 0)


def image_agreement(scores: MapScores, sampled: Sampled) -> Summary:
    """Krippendorff's ordinal alpha, the images being the raters and the maps what is ranked.

    1: all images rank the maps alike; 0: as alike as by chance. Absent below two images or maps.
    """
    images, maps = scores.shape
    if min(images, maps) < _FEWEST:
        return absent()
    ranks = scipy.stats.rankdata(scores, axis=1)
    doubled = (2 * ranks).astype(np.int64) - 2  # halves, of ties, become whole
    values = 2 * maps - 1
    counts = np.zeros((images, maps, values))
    np.put_along_axis(counts, doubled[:, :, None], 1.0, axis=2)

    def alpha(sums: np.ndarray) -> float | None:
        held = sums.reshape(maps, values)
        if (held.sum(axis=0) > 0).sum() < _FEWEST:  # every image ties all maps
            return None
        return float(
            krippendorff.alpha(
                value_counts=held, value_domain=range(values), level_of_measurement="ordinal"
            )
        )

    return sampled.summary(counts.reshape(images, -1), alpha, Range(-1, 1))


def explainer_agreement(scores: MapScores, sampled: Sampled) -> Summary:
    """Mean over pairs of maps of Spearman's correlation over images.

    1: an image that is easy for one explainer is easy for all. Absent below two maps.
    """
    maps = scores.shape[1]
    pairs = list(combinations(range(maps), 2))
    return _correlated(_ranks(scores), pairs, sampled) if pairs else absent()


def metric_agreement(first: MapScores, second: MapScores, sampled: Sampled) -> Summary:
    """Mean over maps of Spearman's correlation over images of two metrics' scores of the map."""
    maps = first.shape[1]
    pairs = [(place, maps + place) for place in range(maps)]
    both = np.concatenate([_ranks(first), _ranks(second)], axis=1)
    return _correlated(both, pairs, sampled) if pairs else absent()


def rank_agreement(first: MapScores, second: MapScores, sampled: Sampled) -> Summary:
    """Spearman's correlation over maps of two mean scores of the map.

    1: both put the maps in one order. Absent below three maps.
    """
    maps = first.shape[1]
    if maps < _FEWEST_RANKED:
        return absent()

    def correlation(sums: np.ndarray) -> float | None:
        ranks = scipy.stats.rankdata(sums.reshape(2, maps), axis=1)
        spread = ranks.std(axis=1)
        if (spread <= _LEAST_VARIANCE).any():
            return None
        product = np.prod(ranks - ranks.mean(axis=1, keepdims=True), axis=0)
        return float(np.clip(product.mean() / spread.prod(), -1, 1))

    return sampled.summary(np.concatenate([first, second], axis=1), correlation, _CORRELATION)


def _ranks(scores: MapScores) -> MapScores:
    """Ranks over all images, centred; resamples keep them."""
    ranks: MapScores = scipy.stats.rankdata(scores, axis=0) - (len(scores) + 1) / 2
    return ranks


def _correlated(ranks: MapScores, pairs: Sequence[tuple[int, int]], sampled: Sampled) -> Summary:
    width = ranks.shape[1]
    products = (ranks[:, :, None] * ranks[:, None, :]).reshape(len(ranks), width * width)
    columns = np.concatenate([np.ones((len(ranks), 1)), ranks, products], axis=1)
    first, second = np.array(pairs).T

    def correlation(sums: np.ndarray) -> float | None:
        means = sums[1 : 1 + width] / sums[0]
        moments = sums[1 + width :].reshape(width, width) / sums[0] - np.outer(means, means)
        variances = moments.diagonal()
        if (variances[[*first, *second]] <= _LEAST_VARIANCE).any():
            return None
        found = moments[first, second] / np.sqrt(variances[first] * variances[second])
        return float(np.clip(found, -1, 1).mean())

    return sampled.summary(columns, correlation, _CORRELATION)
