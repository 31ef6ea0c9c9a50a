"""A small biased data set: a patch tells the class, and the colour behind it often does too."""

from dataclasses import dataclass

import cv2
import numpy as np

SIDE = 32
"""Of the drawings."""
CLASSES = 4
HUES = (0, 45, 90, 135)
"""Of the classes' backgrounds, as OpenCV counts them: in [0, 180)."""
SATURATION = 130
PATCH = 14
"""Side of the patch in a drawing."""
NOISE = 8.0


@dataclass(frozen=True)
class Shapes:
    """Images with their classes and objects.

    Attributes:
        images: uint8 [images, side, side, 3], RGB.
        labels: classes, [images].
        masks: where the patch is, bool [images, side, side].
    """

    images: np.ndarray
    labels: np.ndarray
    masks: np.ndarray


def shapes(count: int, bias: float, seed: int, *, scale: int = 1) -> Shapes:
    """Draws images; the background has the hue of its class with probability `bias`, else any.

    Args:
        count: number of images.
        bias: probability that the background tells the class.
        seed: of everything random.
        scale: pixels along each side that a pixel of the drawing becomes.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(CLASSES, size=count)
    drawn = [_image(label, bias, rng) for label in labels]
    images, masks = (_enlarged(np.stack(part), scale) for part in zip(*drawn, strict=True))
    return Shapes(images, labels, masks)


def _enlarged(pictures: np.ndarray, scale: int) -> np.ndarray:
    return pictures.repeat(scale, axis=1).repeat(scale, axis=2)


def _image(label: int, bias: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    hue = HUES[label] if rng.random() < bias else HUES[rng.integers(CLASSES)]
    plane = np.full((SIDE, SIDE), hue, np.uint8), np.full((SIDE, SIDE), SATURATION, np.uint8)
    texture = rng.integers(90, 160, (SIDE // 4, SIDE // 4), np.uint8)
    value = cv2.resize(texture, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    image = cv2.cvtColor(np.dstack([*plane, value]), cv2.COLOR_HSV2RGB)
    mask = np.zeros((SIDE, SIDE), bool)
    top, left = rng.integers(2, SIDE - PATCH - 2, 2)
    mask[top : top + PATCH, left : left + PATCH] = True
    image[mask] = _pattern(label, rng)[mask][:, None]
    noisy = image + rng.normal(0, NOISE, image.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), mask


def _pattern(label: int, rng: np.random.Generator) -> np.ndarray:
    """Grey stripes of two pixels, of the class's direction, or a chequerboard."""
    y, x = np.mgrid[:SIDE, :SIDE] + rng.integers(4, size=(2, 1, 1))
    phase = (y // 2, x // 2, (x + y) // 2, x // 2 + y // 2)[label]
    dark, light = sorted(rng.integers(80, 200, 2).tolist())
    return np.where(phase % 2, light + 25, dark - 25)
