"""How the curves of single images are spread around their middle."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from heatproof.v1.results_pb2 import Curve

LEAST: Final = 8
"""Images from which on quantiles are drawn; of fewer each curve is."""

LEVELS: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
"""The shares of images below each line: the ends of both bands, and the median between them."""


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Quantiles of curves over images, at each share of one axis.

    Attributes:
        shares: the axis, ascending from 0 to 1.
        lines: the values at the shares, a line for each of `LEVELS`.
        images: how many images they are of.
    """

    shares: tuple[float, ...]
    lines: tuple[tuple[float, ...], ...]
    images: int


def quantiles(curves: Sequence[Curve], shares: Sequence[float]) -> Quantiles:
    """Quantiles at each share; curves of other shares are read between their points.

    Args:
        curves: of at least one image.
        shares: the axis, ascending.
    """
    values = np.array([np.interp(shares, held.fractions, held.values) for held in curves])
    lines = np.quantile(values, LEVELS, axis=0)
    return Quantiles(tuple(shares), tuple(map(tuple, lines.tolist())), len(curves))
