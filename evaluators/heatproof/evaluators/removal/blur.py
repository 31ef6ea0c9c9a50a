"""Removal by blurring."""

from dataclasses import dataclass
from typing import ClassVar, Final

import cv2
import numpy as np

from heatproof.evaluators.images.arrays import Image
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.removal.operator import (
    REMOVALS,
    Backdrop,
    RemovalFacts,
    RemovalOperator,
    RemovalView,
    Render,
)

_REACH: Final = 4.0
"""Standard deviations after which the kernel is cut off; its tail holds under 1e-4 of the mass."""


def blurred(image: Image, sigma: float) -> Image:
    """Gaussian blur of each channel with reflected borders; `sigma` in pixels."""
    side = 2 * int(np.ceil(_REACH * sigma)) + 1
    planes = [
        cv2.GaussianBlur(plane, (side, side), sigma, borderType=cv2.BORDER_REFLECT)
        for plane in image
    ]
    return np.stack(planes).astype(np.float32)


@REMOVALS.register
@dataclass(frozen=True, slots=True)
class Blur(RemovalOperator):
    """Replaces removed pixels by the image blurred with a Gaussian, so it leaks removed content."""

    facts: ClassVar[RemovalFacts] = RemovalFacts(
        name="blur", reference="Fong and Vedaldi 2017, arXiv 1704.03296", content_free=False
    )

    sigma: float = parameter(
        10.0,
        "Standard deviation in pixels of the model's input.",
        within=Range(0, 100, lower_included=False),
    )

    def bind(self, view: RemovalView) -> Render:
        """Blurs the whole image once."""
        return Backdrop(view.image, blurred(view.image, self.sigma))
