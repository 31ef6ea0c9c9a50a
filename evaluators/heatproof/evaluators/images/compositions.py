"""What the rows of a batch show: told by few images and many masks, and drawn from them."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from heatproof.evaluators.images.arrays import Image, ImageOrColour, Images, Mask


@dataclass(frozen=True, slots=True, eq=False)
class KeyedPixels:
    """Pixels with an identity, so that they are handed over once however often they are shown.

    Attributes:
        pixels: an image, or a colour.
        key: tells them from all other pixels; None where nothing shows them again.
    """

    pixels: ImageOrColour
    key: Hashable | None = None


NOTHING: Final = KeyedPixels(np.zeros((3, 1, 1), np.float32), "nothing")
"""Lies behind an image of which nothing is hidden."""


@dataclass(frozen=True, slots=True, eq=False)
class Composition:
    """What one row shows: an image, and something else where a mask hides it.

    Attributes:
        image: shown where the mask is visible.
        mask: visible pixels; None hides nothing.
        behind: shown where the mask hides the image.
    """

    image: KeyedPixels
    mask: Mask | None = None
    behind: KeyedPixels = NOTHING

    def drawn(self) -> Image:
        """The pixels; not a copy where nothing is hidden."""
        if self.mask is None:
            return self.image.pixels
        return np.where(self.mask, self.image.pixels, self.behind.pixels)


def drawn(rows: Sequence[Composition]) -> Images:
    """The pixels of all rows."""
    images = np.empty((len(rows), *rows[0].image.pixels.shape), np.float32)
    for place, row in enumerate(rows):
        np.copyto(images[place], row.image.pixels)
        if row.mask is not None:
            np.copyto(images[place], row.behind.pixels, where=~row.mask)
    return images
