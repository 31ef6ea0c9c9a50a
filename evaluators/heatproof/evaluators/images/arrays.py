"""The arrays of the field, by name and shape."""

from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float32, Float64

Image: TypeAlias = Float32[np.ndarray, "3 height width"]
"""RGB in [0, 1], in the model's input frame."""

Images: TypeAlias = Float32[np.ndarray, "batch 3 height width"]
"""RGB in [0, 1], in the model's input frame."""

Mask: TypeAlias = Bool[np.ndarray, "height width"]
"""Visibility: True is visible, False removed."""

Masks: TypeAlias = Bool[np.ndarray, "batch height width"]
"""Visibility: True is visible, False removed."""

Map: TypeAlias = Float64[np.ndarray, "height width"]
"""Attribution of each pixel: higher matters more."""

Logits: TypeAlias = Float32[np.ndarray, "batch classes"]
"""Class scores before softmax."""
