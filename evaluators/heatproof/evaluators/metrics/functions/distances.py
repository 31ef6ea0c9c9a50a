"""Distances between two maps that are scaled to [0, 1]."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np

from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.regions.grid import STEPS_TO_THE_LARGEST


class Distance(StrEnum):
    """Distances between maps."""

    MEAN_ABSOLUTE = "mean_absolute"
    COSINE = "cosine"
    SSIM = "ssim"
    PEARSON = "pearson"


def mean_absolute(a: Map, b: Map) -> float:
    """Mean absolute difference, in [0, 1]."""
    return float(np.abs(a - b).mean())


def cosine_distance(a: Map, b: Map) -> float:
    """One minus the cosine; in [0, 1], for the maps are not negative."""
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    return float(np.clip(1 - (a * b).sum() / norms, 0, 1))


def pearson_distance(a: Map, b: Map) -> float:
    """One minus Pearson's correlation, clipped to [0, 1]."""
    centred, other = a - a.mean(), b - b.mean()
    norms = np.linalg.norm(centred) * np.linalg.norm(other)
    return float(np.clip(1 - (centred * other).sum() / norms, 0, 1))


def structural_similarity(a: Map, b: Map) -> float:
    """Mean structural similarity, in [-1, 1].

    Gaussian windows of 11 pixels with sigma 1.5, constants 0.01 and 0.03 at a range of 1, reflected
    borders (Wang et al. 2004).
    """
    mean_a, mean_b = _smooth(a), _smooth(b)
    variance_a = _smooth(a * a) - mean_a**2
    variance_b = _smooth(b * b) - mean_b**2
    covariance = _smooth(a * b) - mean_a * mean_b
    small, other = 0.01**2, 0.03**2
    above = (2 * mean_a * mean_b + small) * (2 * covariance + other)
    below = (mean_a**2 + mean_b**2 + small) * (variance_a + variance_b + other)
    return float((above / below).mean())


def ssim(a: Map, b: Map) -> float:
    """One minus the mean structural similarity, clipped to [0, 1]."""
    return float(np.clip(1 - structural_similarity(a, b), 0, 1))


def _smooth(values: Map) -> Map:
    smoothed: Map = cv2.GaussianBlur(values, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT)
    return smoothed


DISTANCES: Final[Mapping[Distance, Callable[[Map, Map], float]]] = MappingProxyType(
    {
        Distance.MEAN_ABSOLUTE: mean_absolute,
        Distance.COSINE: cosine_distance,
        Distance.SSIM: ssim,
        Distance.PEARSON: pearson_distance,
    }
)


def unit_scaled(values: Map) -> Map | None:
    """Clips negatives and scales to [0, 1]; None for a map that is constant but for rounding."""
    positive = np.maximum(values, 0)
    lowest, highest = positive.min(), positive.max()
    if highest - lowest <= highest / STEPS_TO_THE_LARGEST:
        return None
    scaled: Map = (positive - lowest) / (highest - lowest)
    return scaled
