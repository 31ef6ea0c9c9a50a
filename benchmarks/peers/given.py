"""Images and maps that all libraries are given."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.networks import BUNDLED

PHOTOGRAPHS: Final = BUNDLED.parents[1] / "photographs"
SIDE: Final = 224
_LOW, _HIGH = 26, 229  # noise of a small radius stays in [0, 1]


@dataclass(frozen=True)
class Given:
    """Grey photographs of 224 x 224 pixels, for peers that change channels and not pixels.

    Attributes:
        folder: where the files lie, as PNG, which loses nothing.
        count: number of images.
    """

    folder: Path
    count: int

    @cached_property
    def files(self) -> list[str]:
        """Paths of the images, written at the first use."""
        found = sorted(PHOTOGRAPHS.glob("*.jpg"))
        paths = []
        for index in range(self.count):
            grey = cv2.imread(str(found[index % len(found)]), cv2.IMREAD_GRAYSCALE)
            grey = np.roll(cv2.resize(grey, (SIDE, SIDE)), 17 * (index // len(found)), axis=1)
            path = self.folder / f"{index}.png"
            within = _LOW + grey.astype(np.float32) * (_HIGH - _LOW) / 255
            cv2.imwrite(str(path), np.repeat(within.round().astype(np.uint8)[..., None], 3, 2))
            paths.append(str(path))
        return paths

    @cached_property
    def pixels(self) -> np.ndarray:
        """The same as float32 [N, 3, height, width] in [0, 1]."""
        return np.stack(
            [cv2.imread(path)[..., ::-1].transpose(2, 0, 1) / 255 for path in self.files]
        ).astype(np.float32)

    @cached_property
    def maps(self) -> list[np.ndarray]:
        """Smooth random maps without ties, one an image."""
        found = []
        for index in range(self.count):
            drawn = np.random.default_rng([11, index]).normal(size=(SIDE, SIDE))
            smooth = gaussian_filter(drawn, 12) * 12 + 0.01 * drawn
            found.append((smooth - smooth.min() + 0.01).astype(np.float32))
        return found
