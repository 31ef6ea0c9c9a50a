"""Removal operators that paint regions in one colour."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Final

import cv2
import numpy as np
from jaxtyping import Float32

from heatproof.evaluators.images.arrays import Image, Mask
from heatproof.evaluators.registry.parameters import UNIT, parameter
from heatproof.evaluators.removal.operator import (
    REMOVALS,
    Backdrop,
    RemovalFacts,
    RemovalOperator,
    RemovalView,
    Render,
)

IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
_MIDDLE: Final = 127 / 255
_EDGE_CELLS: Final = (5, 5)
_EDGE_SIGMA: Final = 1.0


def grey_image(shape: tuple[int, ...]) -> Image:
    """An image [3, height, width] in ImageNet's mean colour."""
    colour = np.array(IMAGENET_MEAN, np.float32)[:, None, None]
    return np.broadcast_to(colour, shape).copy()


def with_smooth_edges(painted: Image, mask: Mask) -> Image:
    """The image under a 5 x 5 Gaussian of sigma 1 where it is hidden; borders are reflected."""
    planes = [
        cv2.GaussianBlur(plane, _EDGE_CELLS, _EDGE_SIGMA, borderType=cv2.BORDER_REFLECT)
        for plane in painted
    ]
    return np.where(mask, painted, np.clip(np.stack(planes), 0, 1))  # its weights sum to 1 + 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paint(RemovalOperator):
    """Replaces hidden pixels by one colour."""

    smooth_edges: bool = parameter(
        default=False,
        summary="Blur the painted pixels with their surroundings (5 x 5 Gaussian, sigma 1).",
    )

    @abstractmethod
    def colour(self, image: Image) -> Float32[np.ndarray, "3"]:
        """Red, green and blue in [0, 1]."""

    def bind(self, view: RemovalView) -> Render:
        """Chooses the colour."""
        plain = Backdrop(view.image, self.colour(view.image)[:, None, None])

        def smooth(mask: Mask) -> Image:
            return with_smooth_edges(plain(mask), mask)

        return smooth if self.smooth_edges else plain


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
class Grey127(_Paint):
    """Paints removed pixels in the grey of bytes of 127, as InterpretDL does."""

    facts: ClassVar[RemovalFacts] = RemovalFacts(
        name="grey127", reference="Li et al. 2022, InterpretDL", content_free=True
    )

    def colour(self, image: Image) -> Float32[np.ndarray, "3"]:
        """All 127/255."""
        return np.full(3, _MIDDLE, np.float32)


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


@REMOVALS.register
@dataclass(frozen=True, slots=True)
class Colour(_Paint):
    """Paints removed pixels in a colour of choice, by default the grey of bytes of 127."""

    facts: ClassVar[RemovalFacts] = RemovalFacts(
        name="colour", reference="Zeiler and Fergus 2014, arXiv 1311.2901", content_free=True
    )

    red: float = parameter(_MIDDLE, "Red.", within=UNIT)
    green: float = parameter(_MIDDLE, "Green.", within=UNIT)
    blue: float = parameter(_MIDDLE, "Blue.", within=UNIT)

    def colour(self, image: Image) -> Float32[np.ndarray, "3"]:
        """The colour that was chosen."""
        return np.array((self.red, self.green, self.blue), np.float32)


@REMOVALS.register
@dataclass(frozen=True, slots=True)
class OwnMin(_Paint):
    """Paints removed pixels in the least value of the whole image, so it leaks removed content."""

    facts: ClassVar[RemovalFacts] = RemovalFacts(
        name="own_min", reference="Hedstrom et al. 2023, arXiv 2202.06861", content_free=False
    )

    def colour(self, image: Image) -> Float32[np.ndarray, "3"]:
        """The least value of all pixels and channels."""
        return np.full(3, image.min(), np.float32)


@REMOVALS.register
@dataclass(frozen=True, slots=True)
class OwnMax(_Paint):
    """Paints removed pixels in the largest value of the image, so it leaks removed content."""

    facts: ClassVar[RemovalFacts] = RemovalFacts(
        name="own_max", reference="Hedstrom et al. 2023, arXiv 2202.06861", content_free=False
    )

    def colour(self, image: Image) -> Float32[np.ndarray, "3"]:
        """The largest value of all pixels and channels."""
        return np.full(3, image.max(), np.float32)
