"""The seam for regions: the parts of an image that are hidden together."""

from abc import ABC, abstractmethod
from collections.abc import Collection

import numpy as np
from jaxtyping import Float64, Int64

from heatproof.evaluators.images.arrays import Map, Mask


class Regions(ABC):
    """Parts of an image that hold every pixel once, numbered from 0.

    They are called cells wherever an order of them or a value of each is meant.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def cells(self) -> int:
        """How many there are."""

    @property
    @abstractmethod
    def areas(self) -> Int64[np.ndarray, "cells"]:
        """Pixels of each."""

    @abstractmethod
    def spread(self, values: np.ndarray) -> np.ndarray:
        """Gives every pixel the value of its cell; `values` holds one a cell."""

    @abstractmethod
    def sums(self, attribution: Map) -> Float64[np.ndarray, "cells"]:
        """Summed attribution of each cell."""

    @property
    def labels(self) -> Int64[np.ndarray, "height width"]:
        """The number of each pixel's cell."""
        return np.asarray(self.spread(np.arange(self.cells, dtype=np.int64)))

    @property
    def mean_side(self) -> float:
        """Side in pixels of a square of the mean cell's area."""
        return float(np.sqrt(self.areas.mean()))

    def means(self, attribution: Map) -> Float64[np.ndarray, "cells"]:
        """Mean attribution of each cell.

        Means, not sums, so that no cell comes first for its size.
        """
        return np.asarray(self.sums(attribution) / self.areas)

    def hiding(self, cells: Collection[int] | np.ndarray) -> Mask:
        """The mask in which the pixels of some cells are hidden and all others visible."""
        visible = np.ones(self.cells, np.bool_)
        visible[list(cells)] = False
        return np.asarray(self.spread(visible))
