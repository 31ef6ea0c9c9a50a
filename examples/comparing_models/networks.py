"""Small CNNs whose map is displaced by a known distance, and the ways to mix their images."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np
import torch
from torch import nn

from examples.comparing_models.planted import MIX_NAMES, SCALE
from examples.shapes import CLASSES, SIDE

INPUT: Final = SCALE * SIDE

HOLES: Final = 4
"""Squares along each side that cut-out hides."""

Batch: TypeAlias = tuple[torch.Tensor, torch.Tensor]
"""Images [N, 3, H, W] in [0, 1] and probabilities of classes [N, classes]."""
Mix: TypeAlias = Callable[[torch.Tensor, torch.Tensor, np.random.Generator], Batch]


class Displacement(nn.Module):
    """Moves a feature map down and to the right; what leaves it comes in on the other side."""

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.cells = cells

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Moves [N, C, H, W]."""
        return features.roll((self.cells, self.cells), (2, 3)) if self.cells else features


def network(displacement: int) -> nn.Module:
    """Three convolutions, the displacement, a global mean and a linear head.

    The mean over all places does not see where they are: whatever the displacement, weights that
    are equal give equal logits, losses and gradients. A map of the last features sees it.
    """
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2, padding=2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        Displacement(displacement),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, CLASSES),
    )


def tensor(images: np.ndarray) -> torch.Tensor:
    """As the preset `unit` reads images."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255


def plain(images: torch.Tensor, classes: torch.Tensor, _: np.random.Generator) -> Batch:
    """Leaves a batch as it is."""
    return images, classes


def cutout(images: torch.Tensor, classes: torch.Tensor, rng: np.random.Generator) -> Batch:
    """Greys each square of a 4 x 4 grid in half of the images that have it.

    Cut-out (DeVries and Taylor 2017) with holes as in hide-and-seek (Singh and Lee 2017).
    """
    shown = torch.from_numpy(rng.random((len(images), 1, HOLES, HOLES)) < 0.5)
    side = INPUT // HOLES
    shown = shown.repeat_interleave(side, 2).repeat_interleave(side, 3)
    return torch.where(shown, images, 0.5), classes


def mixup(images: torch.Tensor, classes: torch.Tensor, rng: np.random.Generator) -> Batch:
    """Averages images with others of the batch, and their classes (Zhang et al. 2018)."""
    share, others = float(rng.beta(1, 1)), torch.from_numpy(rng.permutation(len(images)))
    return (
        share * images + (1 - share) * images[others],
        share * classes + (1 - share) * classes[others],
    )


def cutmix(images: torch.Tensor, classes: torch.Tensor, rng: np.random.Generator) -> Batch:
    """Pastes a square of another image of the batch; classes by area (Yun et al. 2019)."""
    others = torch.from_numpy(rng.permutation(len(images)))
    rows, columns = _square(round(INPUT * float(np.sqrt(rng.beta(1, 1)))), rng)
    mixed = images.clone()
    mixed[:, :, rows, columns] = images[others][:, :, rows, columns]
    share = 1 - (rows.stop - rows.start) * (columns.stop - columns.start) / INPUT**2
    return mixed, share * classes + (1 - share) * classes[others]


MIXES: Final[Mapping[str, Mix]] = MappingProxyType(
    dict(zip(MIX_NAMES, (plain, cutout, mixup, cutmix), strict=True))
)


def _square(side: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """Rows and columns of a square around a random pixel, cut at the border."""
    firsts = [int(middle) - side // 2 for middle in rng.integers(INPUT, size=2)]
    rows, columns = (slice(max(0, at), min(INPUT, at + side)) for at in firsts)
    return rows, columns
