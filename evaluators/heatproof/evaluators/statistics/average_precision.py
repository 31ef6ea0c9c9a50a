"""Average precision: how well a model tells the images of a class from the others.

`AP = sum over thresholds of (recall - the one before) * precision`, without interpolation; images
of equal scores pass a threshold together. The mean over classes is the mean average precision.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

ClassScores = Float[np.ndarray, "images classes"]
Positives = Bool[np.ndarray, "images classes"]


@dataclass(frozen=True, slots=True, eq=False)
class AveragePrecisions:
    """Average precision of the classes that an image shows.

    Attributes:
        classes: their indices.
        values: the average precision of each, in [0, 1].
        positives: images that show it.
        influence: what each image adds to the mean over the classes, to first order: n times the
            derivative by the image's weight. Sums to 0.
    """

    classes: Int64[np.ndarray, "shown"]
    values: Float64[np.ndarray, "shown"]
    positives: Int64[np.ndarray, "shown"]
    influence: Float64[np.ndarray, "images"]

    @property
    def mean(self) -> float:
        """The mean average precision; NaN if no image shows a class."""
        return float(self.values.mean()) if self.values.size else np.nan

    @property
    def linearized(self) -> Float64[np.ndarray, "images"]:
        """A score for each image: their mean is the mean average precision.

        They vary as the mean average precision does from sample to sample, to first order (the
        infinitesimal jackknife, Jaeckel 1972), so what holds for means serves it.
        """
        return self.mean + self.influence


def average_precisions(scores: ClassScores, positives: Positives) -> AveragePrecisions:
    """Ranks images by each class that at least one of them shows.

    Args:
        scores: logits; anything that grows with the probability of a class.
        positives: which classes each image shows.
    """
    shown = np.flatnonzero(positives.any(axis=0))
    values = np.empty(len(shown))
    influence = np.zeros(len(scores))
    for place, index in enumerate(shown.tolist()):
        values[place], added = _average_precision(scores[:, index], positives[:, index])
        influence += added / len(shown)
    counts = positives.sum(axis=0, dtype=np.int64)[shown]
    return AveragePrecisions(shown.astype(np.int64), values, counts, influence)


def _average_precision(
    scores: Float[np.ndarray, "images"], positives: Bool[np.ndarray, "images"]
) -> tuple[float, Float64[np.ndarray, "images"]]:
    """The average precision of a class, and what each image adds to it.

    With weights w, AP = sum_j w_j y_j T_j / N_j / P, where T_j and N_j weigh the images of the
    class, and all images, that score at least as high as j, and P all images of the class. By
    w_i: (y_i (T_i / N_i - AP) + sum over j that score at most as high as i of
    y_j (y_i / N_j - T_j / N_j^2)) / P.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], positives[order].astype(np.float64)
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # the last ends one
    tie = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=-1))
    above, found = (ends + 1)[tie].astype(np.float64), np.cumsum(hits)[ends][tie]
    total = hits.sum()
    value = float((hits * found / above).sum() / total)
    first = np.append(0, ends[:-1] + 1)[tie]
    gained = np.cumsum((hits / above)[::-1])[::-1][first]
    lost = np.cumsum((hits * found / above**2)[::-1])[::-1][first]
    by_rank = (hits * (found / above - value + gained) - lost) / total
    influence = np.empty(len(scores))
    influence[order] = by_rank * len(scores)
    return value, influence
