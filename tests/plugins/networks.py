"""A small classifier of torch, photographs for it, and how it reads them."""

from typing import Any, Final

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

SIDE: Final = 32
CLASSES: Final = 5
EXAMPLE: Final = torch.zeros(1, 3, SIDE, SIDE)
IMAGENET: Final[dict[str, Any]] = {"preset": "imagenet"}
OPENCV: Final[dict[str, Any]] = {
    "resize": "stretch",
    "filter": "bicubic",
    "scale": 255,
    "mean": [103.5, 116.3, 123.7],
    "std": [57.4, 57.1, 58.4],
    "channel_order": "bgr",
}


class Network(torch.nn.Module):
    """Two convolutions, and a linear head over their means."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.pool = torch.nn.MaxPool2d(2)
        self.second = torch.nn.Conv2d(8, 12, 3, padding=1)
        self.second_relu = torch.nn.ReLU()
        self.head = torch.nn.Linear(12, CLASSES)
        with torch.no_grad():
            self.head.weight *= 20  # so that hiding pixels moves probabilities

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of images that are preprocessed."""
        seen = self.second(self.pool(self.first(images).relu()))
        logits: torch.Tensor = self.head(self.second_relu(seen).mean(dim=(2, 3)))
        return logits


def photographs(count: int = 3) -> list[np.ndarray]:
    """Smooth random pictures uint8 [height, width, 3] of another size than the network's."""
    found = []
    for seed in range(count):
        drawn = np.random.default_rng([19, seed]).normal(size=(44, 60, 3))
        smooth = gaussian_filter(drawn, (3, 3, 0)) + 0.05 * drawn
        low, high = smooth.min(), smooth.max()
        found.append((255 * (smooth - low) / (high - low)).astype(np.uint8))
    return found
