"""Squares of a given number of pixels as regions."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.regions.regions import Regions


@dataclass(frozen=True, slots=True)
class PatchCells(Regions):
    """Splits an image into squares of `side` pixels; what is left at its end makes smaller ones.

    Attributes:
        height: height of the image in pixels.
        width: width of the image in pixels.
        side: side of a square in pixels.
    """

    height: int
    width: int
    side: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of squares."""
        return -(-self.height // self.side), -(-self.width // self.side)

    @property
    def cells(self) -> int:
        """Number of squares."""
        rows, columns = self.shape
        return rows * columns

    @property
    def areas(self) -> Int64[np.ndarray, "cells"]:
        """Pixels of each."""
        return np.outer(self._extents(self.height), self._extents(self.width)).reshape(-1)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Gives every pixel the value of its square; `values` holds one a square, row by row."""
        rows = np.arange(self.height) // self.side
        columns = np.arange(self.width) // self.side
        spread: np.ndarray = values.reshape(self.shape)[rows[:, None], columns]
        return spread

    def sums(self, attribution: Map) -> Float64[np.ndarray, "cells"]:
        """Summed attribution of each square."""
        rows, columns = self._starts(self.height), self._starts(self.width)
        summed = np.add.reduceat(np.add.reduceat(attribution, rows, axis=0), columns, axis=1)
        return np.asarray(summed.reshape(-1))

    def _starts(self, pixels: int) -> Int64[np.ndarray, "starts"]:
        return np.arange(0, pixels, self.side, dtype=np.int64)

    def _extents(self, pixels: int) -> Int64[np.ndarray, "starts"]:
        return np.diff(self._starts(pixels), append=pixels)
