"""Removal operators that paint regions in one colour."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from jaxtyping import Float32

from heatproof.evaluators.images.arrays import Image, Mask
from heatproof.evaluators.removal.operator import (
    REMOVALS,
    RemovalFacts,
    RemovalOperator,
    RemovalView,
    Render,
)

IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)


class _Paint(RemovalOperator):
    """Replaces hidden pixels by one colour."""

    __slots__ = ()

    @abstractmethod
    def colour(self, image: Image) -> Float32[np.ndarray, "3"]:
        """Red, green and blue in [0, 1]."""

    def bind(self, view: RemovalView) -> Render:
        """Chooses the colour."""
        paint = self.colour(view.image)[:, None, None]

        def render(mask: Mask) -> Image:
            return np.where(mask, view.image, paint)

        return render


@REMOVALS.register
@dataclass(frozen=True, slots=True)
class Black(_Paint):
    """Paints removed pixels black (0)."""

    facts: ClassVar[RemovalFacts] = RemovalFacts(
        name="black", reference="Zeiler and Fergus 2014, arXiv 1311.2901", content_free=True
    )

    def colour(self, image: Image) -> Float32[np.ndarray, "3"]:
        """All 0."""
        return np.zeros(3, np.float32)


@REMOVALS.register
@dataclass(frozen=True, slots=True)
class White(_Paint):
    """Paints removed pixels white (1)."""

    facts: ClassVar[RemovalFacts] = RemovalFacts(
        name="white", reference="Heatproof", content_free=True
    )

    def colour(self, image: Image) -> Float32[np.ndarray, "3"]:
        """All 1."""
        return np.ones(3, np.float32)


@REMOVALS.register
@dataclass(frozen=True, slots=True)
class Grey(_Paint):
    """Paints removed pixels in ImageNet's mean colour (0.485, 0.456, 0.406)."""

    facts: ClassVar[RemovalFacts] = RemovalFacts(
        name="grey", reference="Zeiler and Fergus 2014, arXiv 1311.2901", content_free=True
    )

    def colour(self, image: Image) -> Float32[np.ndarray, "3"]:
        """The mean colour of ImageNet."""
        return np.array(IMAGENET_MEAN, np.float32)


@REMOVALS.register
@dataclass(frozen=True, slots=True)
class Mean(_Paint):
    """Paints removed pixels in the mean colour of the whole image, so it leaks removed content."""

    facts: ClassVar[RemovalFacts] = RemovalFacts(
        name="mean", reference="Heatproof", content_free=False
    )

    def colour(self, image: Image) -> Float32[np.ndarray, "3"]:
        """The mean of each channel over the whole image."""
        colour: Float32[np.ndarray, 3] = image.mean(axis=(1, 2), dtype=np.float64).astype(
            np.float32
        )
        return colour
