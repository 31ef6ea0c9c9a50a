"""Whether images that are alike in one thing are alike in another: scores of a set."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import fsum
from typing import ClassVar, Final

import numpy as np
import scipy

from heatproof.evaluators.outcomes import Reason
from heatproof.evaluators.registry.parameters import UNIT, Range
from heatproof.evaluators.statistics.arms import Arm, ArmContrast, Column
from heatproof.evaluators.statistics.reductions import Unbounded

_ROWS: Final = 256
"""Images whose distances to all others are held at a time."""


class _ShareOfPartners(Unbounded):
    """The mean over the images of the share of their partners that are like them.

    A score of the set: the images share their partners, so that no image's share in it can be
    resampled.
    """

    __slots__ = ()

    is_resampled: ClassVar[bool] = False
    left_out: ClassVar[Reason] = Reason.NO_DONOR

    @property
    def range(self) -> Range:
        """Shares."""
        return UNIT

    def estimate(self, images: ArmContrast, units: ArmContrast) -> float:  # noqa: ARG002  # as the protocol says
        """The mean."""
        return units.estimate()


@dataclass(frozen=True, slots=True)
class LikenessOfPart(_ShareOfPartners):
    """A data set's score is how alike in a part the images of equal score are.

    Of each image the share of the other images of its score whose part is its own, averaged over
    the images that have such others.

    Attributes:
        part: the name of the part.
    """

    part: str

    @property
    def parts(self) -> tuple[str, ...]:
        """The part."""
        return (self.part,)

    def contrast(self, scores: Column, parts: Mapping[str, Column]) -> ArmContrast:
        """The mean of the images' shares."""
        part = parts[self.part]
        shares = np.full(len(scores), np.nan)
        known = np.isfinite(scores) & np.isfinite(part)
        alike = _others_of_equal(scores[known])
        both = _others_of_equal(np.column_stack((scores[known], part[known])))
        shares[known] = np.divide(both, alike, out=np.full(len(both), np.nan), where=alike > 0)
        return ArmContrast((Arm.of_mean(shares),))


def _others_of_equal(rows: np.ndarray) -> np.ndarray:
    """How many other rows equal each one."""
    _, places, counts = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    return np.asarray(counts[places.reshape(-1)] - 1, np.float64)


@dataclass(frozen=True, slots=True)
class LikenessOfNear(_ShareOfPartners):
    """A data set's score is how alike in their score the images are whose parts lie near.

    The parts are coordinates, each divided by its deviation over the images (n - 1); those without
    deviation are left out. Two images are near if their Euclidean distance is at most a share of
    the largest one in the set. Of each image the share of the images near it whose score is its
    own, averaged over the images that have such others. Work grows with the square of the images,
    memory with their number.

    Attributes:
        cells: how many coordinates there are, the parts `cell[0]`, `cell[1]` and so on.
        near: the share of the largest distance.
    """

    cells: int
    near: float

    @staticmethod
    def cell(place: int) -> str:
        """The name of a coordinate."""
        return f"cell[{place}]"

    @property
    def parts(self) -> tuple[str, ...]:
        """The coordinates."""
        return tuple(map(self.cell, range(self.cells)))

    def contrast(self, scores: Column, parts: Mapping[str, Column]) -> ArmContrast:
        """The mean of the images' shares."""
        held = np.column_stack([parts[name] for name in self.parts])
        known = np.isfinite(scores) & np.isfinite(held).all(axis=1)
        shares = np.full(len(scores), np.nan)
        shares[known] = _shares_alike(_scaled(held[known]), scores[known], self.near)
        return ArmContrast((Arm.of_mean(shares),))


def _scaled(held: np.ndarray) -> np.ndarray:
    """The coordinates in units of their deviations; `fsum`, so that no order of rows matters."""
    rows = len(held)
    centred = held - np.array([fsum(column) / max(1, rows) for column in held.T.tolist()])
    squares = np.array([fsum(column) for column in np.square(centred).T.tolist()])
    deviations = np.sqrt(squares / max(1, rows - 1))
    varying = deviations > 0
    scaled: np.ndarray = held[:, varying] / deviations[varying]
    return scaled


def _shares_alike(points: np.ndarray, scores: np.ndarray, near: float) -> np.ndarray:
    """Of each point the share of the near others with its score; NaN without any near."""
    largest = max((float(block.max()) for block, _ in _distances(points)), default=0.0)
    found = np.full(len(points), np.nan)
    for block, rows in _distances(points):
        close = block <= near * largest
        close[np.arange(len(rows)), rows] = False
        counts = close.sum(axis=1)
        alike = (close & (scores[rows, None] == scores)).sum(axis=1)
        np.divide(alike, counts, out=found[rows[0] : rows[-1] + 1], where=counts > 0)
    return found


def _distances(points: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The distances of some rows to all rows, and which rows these are."""
    for start in range(0, len(points), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(points)))
        if points.shape[1]:
            yield scipy.spatial.distance.cdist(points[rows], points), rows
        else:  # nothing varies, so that all maps are equal
            yield np.zeros((len(rows), len(points))), rows
