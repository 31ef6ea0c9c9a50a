"""Removal operators that paint regions in one colour."""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from jaxtyping import Float32

from heatproof.evaluators.images.arrays import Image, Mask
from heatproof.evaluators.registry.registry import Need
from heatproof.evaluators.removal.operator import REMOVALS, Render

IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)


def painted(image: Image, colour: Float32[np.ndarray, "3"]) -> Render:
    """Replaces hidden pixels by `colour`."""
    paint = colour[:, None, None]

    def render(mask: Mask) -> Image:
        return np.where(mask, image, paint)

    return render


@REMOVALS.register
@dataclass(frozen=True, slots=True)
class Black:
    """Paints removed pixels black (0)."""

    name: ClassVar[str] = "black"
    reference: ClassVar[str] = "Zeiler and Fergus 2014, arXiv 1311.2901"
    needs: ClassVar[tuple[Need, ...]] = ()
    content_free: ClassVar[bool] = True

    @property
    def masking_mode(self) -> str:
        """Removes in pixel space."""
        return ""

    def bind(self, image: Image) -> Render:
        """Paints 0."""
        return painted(image, np.zeros(3, np.float32))


@REMOVALS.register
@dataclass(frozen=True, slots=True)
class White:
    """Paints removed pixels white (1)."""

    name: ClassVar[str] = "white"
    reference: ClassVar[str] = "Heatproof"
    needs: ClassVar[tuple[Need, ...]] = ()
    content_free: ClassVar[bool] = True

    @property
    def masking_mode(self) -> str:
        """Removes in pixel space."""
        return ""

    def bind(self, image: Image) -> Render:
        """Paints 1."""
        return painted(image, np.ones(3, np.float32))


@REMOVALS.register
@dataclass(frozen=True, slots=True)
class Grey:
    """Paints removed pixels in ImageNet's mean colour (0.485, 0.456, 0.406)."""

    name: ClassVar[str] = "grey"
    reference: ClassVar[str] = "Zeiler and Fergus 2014, arXiv 1311.2901"
    needs: ClassVar[tuple[Need, ...]] = ()
    content_free: ClassVar[bool] = True

    @property
    def masking_mode(self) -> str:
        """Removes in pixel space."""
        return ""

    def bind(self, image: Image) -> Render:
        """Paints the mean colour of ImageNet."""
        return painted(image, np.array(IMAGENET_MEAN, np.float32))


@REMOVALS.register
@dataclass(frozen=True, slots=True)
class Mean:
    """Paints removed pixels in the mean colour of the whole image, so it leaks removed content."""

    name: ClassVar[str] = "mean"
    reference: ClassVar[str] = "Heatproof"
    needs: ClassVar[tuple[Need, ...]] = ()
    content_free: ClassVar[bool] = False

    @property
    def masking_mode(self) -> str:
        """Removes in pixel space."""
        return ""

    def bind(self, image: Image) -> Render:
        """Paints the mean of each channel over the whole image."""
        colour = image.mean(axis=(1, 2), dtype=np.float64).astype(np.float32)
        return painted(image, colour)
