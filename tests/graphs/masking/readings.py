"""Slow readings of the definitions in NumPy: fills, windows and masks."""

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def boxes(image: Array) -> Array:
    """Sum over the 3 x 3 surroundings of each cell, zeros behind the border."""
    padded = np.pad(image, [(0, 0), (0, 0), (1, 1), (1, 1)])
    height, width = image.shape[2:]
    parts = [
        padded[:, :, i : i + height, j : j + width]
        for i, j in itertools.product(range(3), repeat=2)
    ]
    return np.asarray(np.sum(parts, axis=0))


def fill(image: Array, mask: Array, rounds: int) -> Array:
    """Neighbour padding, as published."""
    filled, known = image * mask, mask
    for _ in range(rounds):
        total, count = boxes(filled), boxes(known)
        filled = filled + (1 - known) * total / (count + 1e-5)
        known = np.clip(known + count, 0, 1)
    return filled


def patches(image: Array, geometry: "Geometry", padding: float) -> Array:
    """The cells of each window: [N, C, height', width', kernel height, kernel width]."""
    (top, left, bottom, right), (sy, sx) = geometry.pads, geometry.strides
    (ky, kx), (dy, dx) = geometry.kernel, geometry.dilations
    edges = [(0, 0), (0, 0), (top, bottom), (left, right)]
    padded = np.pad(image, edges, constant_values=padding)
    rows = range(0, padded.shape[2] - dy * (ky - 1), sy)
    columns = range(0, padded.shape[3] - dx * (kx - 1), sx)
    return np.stack(
        [
            np.stack(
                [
                    padded[:, :, y : y + dy * ky : dy, x : x + dx * kx : dx][..., :ky, :kx]
                    for x in columns
                ],
                axis=2,
            )
            for y in rows
        ],
        axis=2,
    )


class Geometry:
    """Kernel, strides, dilations and pads of an operator, and their ONNX text."""

    def __init__(self, kernel: str, strides: str, dilations: str, pads: str) -> None:
        pairs = [tuple(map(int, text)) for text in (kernel, strides, dilations, pads)]
        self.kernel, self.strides, self.dilations, self.pads = pairs

    def attributes(self, *names: str) -> str:
        return ", ".join(f"{name} = {list(getattr(self, name))}" for name in names)

    def window(self, mask: Array) -> Array:
        """The window rule."""
        seen = patches(mask, self, 0).max(axis=(-1, -2))
        cells = patches(np.ones_like(mask), self, 0).max(axis=(-1, -2))
        return np.asarray(np.maximum(seen, cells == 0))


def window_rule(mask: Array, geometry: Geometry, image: Array | None = None) -> Array:
    """Visible where a window holds a visible cell of the image, or no cell of it at all."""
    cells = np.ones(mask.shape[2:]) if image is None else image
    seen = patches(mask * cells, geometry, 0).max(axis=(-1, -2))
    held = patches(cells[None, None], geometry, 0).max(axis=(-1, -2))
    return np.asarray(np.maximum(seen, held == 0))


def convolved(image: Array, weights: Array, geometry: Geometry) -> Array:
    """The convolution without bias, in double precision."""
    parts = patches(image.astype(float), geometry, 0)
    return np.asarray(np.einsum("nchwij,ocij->nohw", parts, weights.astype(float)))
