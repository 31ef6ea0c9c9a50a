"""Likenesses of two maps, None where a side is constant."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import numpy as np

from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.functions.correlations import cosine, pearson, spearman
from heatproof.evaluators.metrics.functions.distances import structural_similarity, unit_scaled


class Similarity(StrEnum):
    """Likenesses of maps."""

    SPEARMAN = "spearman"
    PEARSON = "pearson"
    COSINE = "cosine"
    SSIM = "ssim"


def scaled_ssim(a: Map, b: Map) -> float | None:
    """Mean structural similarity of maps whose positive parts are scaled to [0, 1]."""
    first, second = unit_scaled(a), unit_scaled(b)
    if first is None or second is None:
        return None
    return structural_similarity(first, second)


_SIMILARITIES: Final[Mapping[Similarity, Callable[[Map, Map], float | None]]] = MappingProxyType(
    {
        Similarity.SPEARMAN: lambda a, b: spearman(a.reshape(-1), b.reshape(-1)),
        Similarity.PEARSON: lambda a, b: pearson(a.reshape(-1), b.reshape(-1)),
        Similarity.COSINE: lambda a, b: cosine(a.reshape(-1), b.reshape(-1)),
        Similarity.SSIM: scaled_ssim,
    }
)


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike two maps are, in [-1, 1].

    Attributes:
        similarity: the measure.
        absolute: whether the maps' magnitudes are compared.
    """

    similarity: Similarity
    absolute: bool

    def of(self, a: Map, b: Map) -> float | None:
        """Likeness of two maps; None where one of them is constant, to which nothing is alike."""
        if self.absolute:
            a, b = np.abs(a), np.abs(b)
        return _SIMILARITIES[self.similarity](a, b)
