"""Cells: the regions of an image that are removed together, and orders of them."""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.regions.regions import Regions

Order = Int64[np.ndarray, "cells"]
"""Cells, first one first."""

STEPS_TO_THE_LARGEST: Final = 2.0**30
"""Values count as equal where they round to the same multiple of the largest magnitude over this:
far above what float64 rounds, far below what a float32 map can tell apart."""


@dataclass(frozen=True, slots=True)
class GridCells(Regions):
    """Splits an image into `side * side` cells; sides that do not divide give cells of two sizes.

    Attributes:
        height: height of the image in pixels.
        width: width of the image in pixels.
        side: cells along each side.
    """

    height: int
    width: int
    side: int

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.side * self.side

    @property
    def smallest(self) -> int:
        """Shortest side of any cell in pixels."""
        return min(self.height, self.width) // self.side

    def check(self) -> None:
        """Refuses cells smaller than a pixel.

        Raises:
            InvalidArgumentError: at `grid`.
        """
        if self.smallest < 1:
            raise InvalidArgumentError(
                f"grid is {self.side}, but the input has {self.width} x {self.height} pixels: "
                f"at most {min(self.height, self.width)}",
                field="grid",
            )

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Gives every pixel the value of its cell; `values` holds one a cell, row by row."""
        rows, columns = _lengths(self.height, self.side), _lengths(self.width, self.side)
        return values.reshape(self.side, self.side).repeat(columns, axis=1).repeat(rows, axis=0)

    def sums(self, attribution: Map) -> Float64[np.ndarray, "cells"]:
        """Summed attribution of each cell."""
        rows, columns = _starts(self.height, self.side), _starts(self.width, self.side)
        summed = np.add.reduceat(np.add.reduceat(attribution, rows, axis=0), columns, axis=1)
        return np.asarray(summed.reshape(-1))

    @property
    def areas(self) -> Int64[np.ndarray, "cells"]:
        """Pixels of each."""
        heights, widths = _lengths(self.height, self.side), _lengths(self.width, self.side)
        return np.outer(heights, widths).reshape(-1)


def _starts(pixels: int, cells: int) -> Int64[np.ndarray, "starts"]:
    return np.arange(cells, dtype=np.int64) * pixels // cells


@cache
def _lengths(pixels: int, cells: int) -> Int64[np.ndarray, "lengths"]:
    lengths = np.diff(np.arange(cells + 1, dtype=np.int64) * pixels // cells)
    lengths.flags.writeable = False  # whoever asks next gets the same
    return lengths


def comparable(values: Float64[np.ndarray, "cells"]) -> Float64[np.ndarray, "cells"]:
    """The values as multiples of 2^-30 of the largest magnitude, so that rounding orders nothing.

    Means of equal cells differ in their last bits by the order of their sums, which differs between
    correct implementations.
    """
    largest = np.abs(values).max()
    if not largest > 0:
        return np.zeros_like(values)
    return np.asarray(np.round(values / largest * STEPS_TO_THE_LARGEST))


def descending(values: Float64[np.ndarray, "cells"], rng: np.random.Generator) -> Order:
    """Orders cells by their comparable values, highest first; ties fall as `rng` draws them.

    The least salient first is the exact reverse.
    """
    shuffled = rng.permutation(values.size)
    return shuffled[np.argsort(-comparable(values)[shuffled], kind="stable")]


def ranks(order: Order) -> Int64[np.ndarray, "cells"]:
    """The place of each cell in an order."""
    places = np.empty_like(order)
    places[order] = np.arange(order.size)
    return places


def saliency_order(
    regions: Regions, attribution: Map, rng: np.random.Generator
) -> Order | Undefined:
    """Orders cells by their mean attribution, most salient first; a constant map has no order."""
    means = regions.means(attribution)
    levels = comparable(means)
    if attribution.min() == attribution.max() or levels.min() == levels.max():
        return Undefined(Reason.DEGENERATE, "the map is constant, so no cell comes first")
    return descending(means, rng)
