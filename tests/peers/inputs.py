"""Weights, images and maps that every library is given, from NumPy and SciPy alone."""

from typing import Final

import numpy as np
from scipy.ndimage import gaussian_filter

SIDE: Final = 32
CLASSES: Final = 5
IMAGES: Final = 4
MEAN: Final = (0.485, 0.456, 0.406)
STD: Final = (0.229, 0.224, 0.225)
_SHAPES: Final = {"first": (8, 3, 3, 3), "second": (12, 8, 3, 3), "head": (CLASSES, 12)}


def weights(seed: int, sharpness: float) -> dict[str, np.ndarray]:
    """Of two convolutions and a linear head, by the names that torch gives them, in its layout."""
    rng, drawn = np.random.default_rng([3, seed]), {}
    for name, shape in _SHAPES.items():
        fan = int(np.prod(shape[1:]))
        drawn[f"{name}.weight"] = rng.normal(size=shape) * np.sqrt(2 / fan)
        drawn[f"{name}.bias"] = 0.3 * rng.normal(size=shape[0])
    drawn["head.weight"] *= sharpness
    return {name: value.astype(np.float32) for name, value in drawn.items()}


def image(seed: int, *, grey: bool = False) -> np.ndarray:
    """A smooth random image in [.2, .8] [3, height, width]."""
    drawn = np.random.default_rng([7, seed]).normal(size=(1 if grey else 3, SIDE, SIDE))
    smooth = gaussian_filter(drawn, (0, 2, 2)) + 0.15 * drawn
    low, high = smooth.min(), smooth.max()
    scaled = 0.2 + 0.6 * (smooth - low) / (high - low)
    return np.ascontiguousarray(np.broadcast_to(scaled, (3, SIDE, SIDE)), np.float32)


def attribution(seed: int, *, signed: bool = True) -> np.ndarray:
    """A smooth random map without ties."""
    drawn = np.random.default_rng([11, seed]).normal(size=(SIDE, SIDE))
    smooth = gaussian_filter(drawn, 2) + 0.02 * drawn
    return smooth if signed else smooth - smooth.min() + 0.01


def noise(radius: float, draws: int) -> np.ndarray:
    """Noise in [0, radius] [draws, 3, height, width], as Xplique draws it."""
    return np.random.default_rng(13).uniform(0, radius, (draws, 3, SIDE, SIDE)).astype(np.float32)
