"""Pictures of an image, and of a map laid over it."""

import io
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from PIL import Image as Picture

from heatproof.evaluators.images.arrays import Image, Map

_COLOURS: Final = cv2.COLORMAP_INFERNO
"""Perceptually ordered: brighter is more, in print and for the colour-blind as well."""

_MOST: Final = 0.85
"""Opacity of the most salient pixel, so that the image stays visible beneath."""

_TAIL: Final = 99.0
"""Percentile that is drawn brightest: one extreme pixel must not darken all others."""


_PALETTE: Final = 256
"""Colours of a drawn map: its file takes a third of one in all colours, and looks alike."""

_QUALITY: Final = 85
"""Of JPEG: a photograph of 224 pixels takes some 12 kB, and shows no blocks."""


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
    pixels = np.rint(image.transpose(1, 2, 0) * 255).astype(np.uint8)
    return _file(Picture.fromarray(pixels), "JPEG", quality=_QUALITY)


def overlay(image: Image, attribution: Map) -> DrawnMap:
    """Draws the map over a greyed image, as a PNG file in the model's input frame.

    Only positive attribution is drawn, and the opacity grows with the value: the image shows where
    the map is silent.
    """
    positive = np.maximum(attribution, 0)
    lowest, highest = _ends(positive)
    strength = np.clip((positive - lowest) / ((highest - lowest) or 1), 0, 1)
    heat = cv2.applyColorMap(np.rint(strength * 255).astype(np.uint8), _COLOURS)[:, :, ::-1]
    grey = np.asarray(image.transpose(1, 2, 0) @ np.array([0.299, 0.587, 0.114]))
    opacity = (_MOST * np.sqrt(strength))[:, :, None]
    mixed = (1 - opacity) * grey[:, :, None] * 255 + opacity * heat
    picture = Picture.fromarray(np.rint(mixed).astype(np.uint8)).quantize(
        _PALETTE, Picture.Quantize.MEDIANCUT, dither=Picture.Dither.NONE
    )
    return DrawnMap(_file(picture, "PNG"), lowest, highest)


def _ends(positive: Map) -> tuple[float, float]:
    """What is drawn as nothing and as most; equal for a map that is silent everywhere."""
    lowest, highest = float(positive.min()), float(np.percentile(positive, _TAIL))
    return lowest, highest if highest > lowest else float(positive.max())


def _file(picture: Picture.Image, form: str, **options: int) -> bytes:
    data = io.BytesIO()
    picture.save(data, form, **options)
    return data.getvalue()
