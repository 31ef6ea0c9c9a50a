"""What a model says of an image without some regions, read without any of the engine."""

from collections.abc import Callable, Collection, Sequence
from itertools import pairwise

import numpy as np

from tests.evaluators.toys import SIDE, ToyPredictor, softmax

Reading = Callable[[np.ndarray], float]


def squares(pixels: int) -> np.ndarray:
    """Numbers of squares of so many pixels, row by row."""
    rows, columns = np.indices((SIDE, SIDE)) // pixels
    numbers: np.ndarray = rows * (columns.max() + 1) + columns
    return numbers


def ranking(labels: np.ndarray, attribution: np.ndarray) -> list[int]:
    """Regions by their mean attribution, highest first; there may be no ties."""
    means = {label: attribution[labels == label].mean() for label in np.unique(labels)}
    assert len(set(means.values())) == len(means)
    return sorted(means, key=lambda label: -means[label])


def said(
    predictor: ToyPredictor,
    image: np.ndarray,
    labels: np.ndarray,
    hidden: Collection[int],
    read: Reading,
) -> float:
    """What is read with some regions black."""
    shown = image.copy()
    shown[:, np.isin(labels, list(hidden))] = 0
    return read(predictor._logits(shown).astype(np.float32))


def probability(logits: np.ndarray) -> float:
    return float(softmax(logits)[0])


def logit(logits: np.ndarray) -> float:
    return float(logits[0])


def falling(
    predictor: ToyPredictor,
    image: np.ndarray,
    labels: np.ndarray,
    order: Sequence[int],
    counts: Sequence[int],
    *,
    read: Reading = probability,
) -> list[float]:
    """What is read without the first regions of an order, for each count."""
    return [said(predictor, image, labels, order[:count], read) for count in counts]


def trapezoid(shares: Sequence[float], values: Sequence[float]) -> float:
    """Written out."""
    points = list(zip(shares, values, strict=True))
    return sum(
        (after[0] - before[0]) * (before[1] + after[1]) / 2 for before, after in pairwise(points)
    )
