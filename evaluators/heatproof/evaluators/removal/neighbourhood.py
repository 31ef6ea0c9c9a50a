"""Removal by what is visible around each pixel."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final, TypeAlias

import cv2
import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from heatproof.evaluators.images.arrays import Image, Mask
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.removal.colours import grey_image
from heatproof.evaluators.removal.operator import (
    REMOVALS,
    RemovalFacts,
    RemovalOperator,
    RemovalView,
    Render,
)

Shares: TypeAlias = Float32[np.ndarray, "height width"]
"""A number in [0, 1) for each pixel."""

_BEYOND: Final = np.float32(2)
"""Above every value of an image; its negative is below all."""


class Statistic(StrEnum):
    """What a pixel takes of its neighbours: their mean, or a draw between their extremes."""

    MEAN = "mean"
    UNIFORM = "uniform"


@REMOVALS.register
@dataclass(frozen=True, slots=True)
class Neighbourhood(RemovalOperator):
    """Replaces each removed pixel by the visible ones around it."""

    facts: ClassVar[RemovalFacts] = RemovalFacts(
        name="neighbourhood",
        reference="Hedstrom et al. 2023, arXiv 2202.06861",
        content_free=True,
        from_surroundings=True,
    )

    radius: int = parameter(
        8, "Farthest row and column that is read, doubled until a pixel is visible.",
        within=Range(1, 1024),
    )  # fmt: skip
    statistic: Statistic = parameter(Statistic.MEAN, "What is taken of them.")

    @property
    def is_random(self) -> bool:
        """With uniform draws."""
        return self.statistic is Statistic.UNIFORM

    def bind(self, view: RemovalView) -> Render:
        """Draws one number a pixel, the same for all masks."""
        shares = view.rng.random(view.image.shape[1:], np.float32)

        def render(mask: Mask) -> Image:
            painted = grey_image(view.image.shape)
            missing = ~mask
            radius = self.radius
            while mask.any() and missing.any():
                near = _sums(mask, radius) > 0
                found = self._found(view.image, mask, radius, shares)
                painted = np.where(missing & near, found, painted)
                missing &= ~near
                radius *= 2
            return np.where(mask, view.image, painted)

        return render

    def _found(self, image: Image, mask: Mask, radius: int, shares: Shares) -> Image:
        if self.statistic is Statistic.MEAN:
            return _means(image, mask, radius)
        low, high = _extremes(image, mask, radius)
        return np.asarray(low + shares * (high - low), np.float32)


def _means(image: Image, mask: Mask, radius: int) -> Image:
    """The mean of the visible pixels in reach; 0 where there are none."""
    counts = np.maximum(_sums(mask, radius), 1)
    planes = [_sums(np.where(mask, plane, 0), radius) / counts for plane in image]
    return np.stack(planes).astype(np.float32)


def _sums(plane: NDArray[np.generic], radius: int) -> NDArray[np.float64]:
    """The sum within a number of rows and columns of each pixel."""
    side = _side(plane.shape, radius)
    sums = np.asarray(
        cv2.boxFilter(
            plane.astype(np.float64),
            -1,
            (side, side),
            normalize=False,
            borderType=cv2.BORDER_CONSTANT,
        ),
        np.float64,
    )
    return np.round(sums) if plane.dtype == np.bool_ else sums


def _side(shape: tuple[int, ...], radius: int) -> int:
    return 2 * min(radius, max(shape)) + 1


def _extremes(image: Image, mask: Mask, radius: int) -> tuple[Image, Image]:
    """The least and the largest visible value in reach; meaningless where there is none."""
    side = _side(mask.shape, radius)
    box = np.ones((side, side), np.uint8)
    low = [cv2.erode(np.where(mask, plane, _BEYOND), box) for plane in image]
    high = [cv2.dilate(np.where(mask, plane, -_BEYOND), box) for plane in image]
    return np.stack(low), np.stack(high)
