"""Removal by inpainting: regions are filled from what surrounds them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, Final

import cv2
import numpy as np

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


class Method(StrEnum):
    """Ways to fill a region."""

    TELEA = "telea"
    NAVIER_STOKES = "navier_stokes"


_METHODS: Final[Mapping[Method, int]] = MappingProxyType(
    {Method.TELEA: cv2.INPAINT_TELEA, Method.NAVIER_STOKES: cv2.INPAINT_NS}
)


@REMOVALS.register
@dataclass(frozen=True, slots=True)
class Inpaint(RemovalOperator):
    """Fills removed pixels from the visible ones around them."""

    facts: ClassVar[RemovalFacts] = RemovalFacts(
        name="inpaint",
        reference="Telea 2004, doi 10.1080/10867651.2004.10487596",
        content_free=True,
        from_surroundings=True,
    )

    method: Method = parameter(Method.TELEA, "How a region is filled.")
    radius: float = parameter(3.0, "Pixels around a point that are read.", within=Range(1, 100))

    def bind(self, view: RemovalView) -> Render:
        """Rounds to 255ths, as OpenCV fills bytes; values outside [0, 1] go to its ends."""
        bytes_ = np.round(np.clip(view.image, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)

        def render(mask: Mask) -> Image:
            if not mask.any():
                return grey_image(view.image.shape)
            # OpenCV reads hidden pixels: what they held must not shine through.
            blank = np.ascontiguousarray(np.where(mask[:, :, None], bytes_, np.uint8(0)))
            hidden = (~mask).astype(np.uint8)
            filled = cv2.inpaint(blank, hidden, self.radius, _METHODS[self.method])
            painted = filled.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
            return np.where(mask, view.image, painted)

        return render
