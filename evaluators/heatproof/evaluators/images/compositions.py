"""What the rows of a batch show: told by few images and many masks, and drawn from them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from heatproof.evaluators.images.arrays import Image, ImageOrColour, Images, Mask

NOTHING: Final = np.zeros((3, 1, 1), np.float32)
"""Lies behind an image of which nothing is hidden."""


@dataclass(frozen=True, slots=True, eq=False)
class Composition:
    """What one row shows: an image, and something else where a mask hides it.

    An array that several rows show is handed over once, so nobody changes one in place.

    Attributes:
        image: shown where the mask is visible.
        mask: visible pixels; None hides nothing.
        behind: shown where the mask hides the image.
    """

    image: Image
    mask: Mask | None = None
    behind: ImageOrColour = field(default_factory=lambda: NOTHING)

    def drawn(self) -> Image:
        """The pixels; not a copy where nothing is hidden."""
        if self.mask is None:
            return self.image
        return np.where(self.mask, self.image, self.behind)


def drawn(rows: Sequence[Composition]) -> Images:
    """The pixels of all rows."""
    images = np.empty((len(rows), *rows[0].image.shape), np.float32)
    for place, row in enumerate(rows):
        np.copyto(images[place], row.image)
        if row.mask is not None:
            np.copyto(images[place], row.behind, where=~row.mask)
    return images
