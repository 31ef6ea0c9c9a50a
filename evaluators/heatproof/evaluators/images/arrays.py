"""The arrays of the field, by name and shape, and what pixels may hold."""

from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float32, Float64

from heatproof.evaluators.errors import InvalidImageError

Image: TypeAlias = Float32[np.ndarray, "3 height width"]
"""RGB in [0, 1], in the model's input frame."""

Images: TypeAlias = Float32[np.ndarray, "batch 3 height width"]
"""RGB in [0, 1], in the model's input frame."""

ImageOrColour: TypeAlias = Float32[np.ndarray, "3 #height #width"]
"""An image; or one of a single pixel, [3, 1, 1], whose colour is everywhere."""

Mask: TypeAlias = Bool[np.ndarray, "height width"]
"""Visibility: True is visible, False removed."""

Masks: TypeAlias = Bool[np.ndarray, "batch height width"]
"""Visibility: True is visible, False removed."""

Map: TypeAlias = Float64[np.ndarray, "height width"]
"""Attribution of each pixel: higher matters more."""

Logits: TypeAlias = Float32[np.ndarray, "batch classes"]
"""Class scores before softmax."""


def require_unit(pixels: Float32[np.ndarray, "..."]) -> None:
    """Refuses pixels that are given as floats and are no colours.

    Raises:
        InvalidImageError: one is not finite or lies outside [0, 1].
    """
    if not np.isfinite(pixels).all():
        raise InvalidImageError(
            "pixels given as floats must be finite and lie in [0, 1]; they hold NaN or infinity"
        )
    if pixels.size and (pixels.min() < 0 or pixels.max() > 1):
        raise InvalidImageError(
            f"pixels given as floats must lie in [0, 1], not [{pixels.min():g}, "
            f"{pixels.max():g}]; send bytes as uint8"
        )
