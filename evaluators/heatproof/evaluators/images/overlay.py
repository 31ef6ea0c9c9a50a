"""Pictures of a map laid over its image."""

from typing import Final

import cv2
import numpy as np

from heatproof.evaluators.errors import InternalError
from heatproof.evaluators.images.arrays import Image, Map

_COLOURS: Final = cv2.COLORMAP_INFERNO
"""Perceptually ordered: brighter is more, in print and for the colour-blind as well."""

_MOST: Final = 0.85
"""Opacity of the most salient pixel, so that the image stays visible beneath."""

_TAIL: Final = 99.0
"""Percentile that is drawn brightest: one extreme pixel must not darken all others."""


def overlay(image: Image, attribution: Map) -> bytes:
    """Draws the map over a greyed image, as a PNG file in the model's input frame.

    Only positive attribution is drawn, and the opacity grows with the value: the image shows where
    the map is silent.
    """
    strength = _strength(attribution)
    heat = cv2.applyColorMap(np.rint(strength * 255).astype(np.uint8), _COLOURS)
    grey = np.asarray(image.transpose(1, 2, 0) @ np.array([0.299, 0.587, 0.114]))
    opacity = (_MOST * np.sqrt(strength))[:, :, None]
    mixed = (1 - opacity) * grey[:, :, None] * 255 + opacity * heat
    worked, png = cv2.imencode(".png", np.rint(mixed).astype(np.uint8))
    if not worked:
        raise InternalError("the overlay could not be written as a PNG file")
    return bytes(png.tobytes())


def _strength(attribution: Map) -> Map:
    """Scales a map to [0, 1]; a map without positive values is silent everywhere."""
    positive = np.maximum(attribution, 0)
    lowest = positive.min()
    highest = np.percentile(positive, _TAIL)
    if highest <= lowest:
        highest = positive.max()
    if highest <= lowest:
        return np.zeros_like(positive)
    scaled: Map = np.clip((positive - lowest) / (highest - lowest), 0, 1)
    return scaled
