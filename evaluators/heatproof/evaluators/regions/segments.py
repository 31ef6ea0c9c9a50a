"""Regions of any shape, by a map of their numbers."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.regions.regions import Regions


@dataclass(frozen=True, slots=True, eq=False)
class Segments(Regions):
    """Regions of any shape.

    Attributes:
        numbers: the cell of each pixel; every number from 0 to the highest occurs.
    """

    numbers: Int64[np.ndarray, "height width"]

    @classmethod
    def of(cls, labels: np.ndarray) -> "Segments":
        """Numbers labels anew, in the raster order of their first pixels."""
        _, firsts, owners = np.unique(labels, return_index=True, return_inverse=True)
        numbers = np.empty(firsts.size, np.int64)
        numbers[np.argsort(firsts)] = np.arange(firsts.size)
        return cls(numbers[owners.reshape(labels.shape)])

    @property
    def cells(self) -> int:
        """How many there are."""
        return int(self.numbers.max()) + 1

    @property
    def areas(self) -> Int64[np.ndarray, "cells"]:
        """Pixels of each."""
        return np.bincount(self.numbers.ravel()).astype(np.int64)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Gives every pixel the value of its cell; `values` holds one a cell."""
        spread: np.ndarray = values[self.numbers]
        return spread

    def sums(self, attribution: Map) -> Float64[np.ndarray, "cells"]:
        """Summed attribution of each cell."""
        return np.bincount(self.numbers.ravel(), attribution.ravel())
