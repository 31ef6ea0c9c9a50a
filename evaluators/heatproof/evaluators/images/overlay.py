"""Pictures of an image, and of a map laid over it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from heatproof.evaluators.errors import InternalError
from heatproof.evaluators.images.arrays import Image, Map

_COLOURS: Final = cv2.COLORMAP_INFERNO
"""Perceptually ordered: brighter is more, in print and for the colour-blind as well."""

_MOST: Final = 0.85
"""Opacity of the most salient pixel, so that the image stays visible beneath."""

_TAIL: Final = 99.0
"""Percentile that is drawn brightest: one extreme pixel must not darken all others."""


_QUALITY: Final = 85
"""Of JPEG: a photograph of 224 pixels takes some 15 kB, and shows no blocks."""


@dataclass(frozen=True, slots=True)
class DrawnMap:
    """A map over its image.

    Attributes:
        png: the picture, a PNG file.
        lowest: attribution up to which nothing is drawn.
        highest: attribution from which on it is drawn brightest.
    """

    png: bytes
    lowest: float
    highest: float


def photograph(image: Image) -> bytes:
    """The image itself, as a JPEG file."""
    colours = np.rint(image.transpose(1, 2, 0)[:, :, ::-1] * 255).astype(np.uint8)
    return _encoded(".jpg", colours, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])


def overlay(image: Image, attribution: Map) -> DrawnMap:
    """Draws the map over a greyed image, as a PNG file in the model's input frame.

    Only positive attribution is drawn, and the opacity grows with the value: the image shows where
    the map is silent.
    """
    positive = np.maximum(attribution, 0)
    lowest, highest = _ends(positive)
    strength = np.clip((positive - lowest) / ((highest - lowest) or 1), 0, 1)
    heat = cv2.applyColorMap(np.rint(strength * 255).astype(np.uint8), _COLOURS)
    grey = np.asarray(image.transpose(1, 2, 0) @ np.array([0.299, 0.587, 0.114]))
    opacity = (_MOST * np.sqrt(strength))[:, :, None]
    mixed = (1 - opacity) * grey[:, :, None] * 255 + opacity * heat
    return DrawnMap(_encoded(".png", np.rint(mixed).astype(np.uint8)), lowest, highest)


def _ends(positive: Map) -> tuple[float, float]:
    """What is drawn as nothing and as most; equal for a map that is silent everywhere."""
    lowest, highest = float(positive.min()), float(np.percentile(positive, _TAIL))
    return lowest, highest if highest > lowest else float(positive.max())


def _encoded(suffix: str, colours: NDArray[np.uint8], options: Sequence[int] = ()) -> bytes:
    worked, data = cv2.imencode(suffix, colours, options)
    if not worked:
        raise InternalError(f"a picture could not be written as a {suffix} file")
    return bytes(data.tobytes())
