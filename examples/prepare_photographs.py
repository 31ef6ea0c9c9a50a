"""Shrinks the photographs named in photographs/ORIGIN.md to a shortest side of 256 pixels.

One keeps its own size, see below.

Needs the wheels scikit-image 0.26.0, scikit-learn 1.9.1 and matplotlib 3.11.2, unpacked into the
folder given as the only argument, and Pillow. `README.md` beside this file has the commands.
"""

import sys
from pathlib import Path

from PIL import Image

SHORTEST_SIDE = 256
TARGET = Path(__file__).with_name("photographs")
SOURCES = {
    "astronaut.jpg": "skimage/data/astronaut.png",
    "camera.png": "skimage/data/camera.png",
    "chelsea.png": "skimage/data/chelsea.png",
    "china.jpg": "sklearn/datasets/images/china.jpg",
    "clock.png": "skimage/data/clock_motion.png",
    "coffee.jpg": "skimage/data/coffee.png",
    "flower.jpg": "sklearn/datasets/images/flower.jpg",
    "grace_hopper.jpg": "matplotlib/mpl-data/sample_data/grace_hopper.jpg",
    "rocket.png": "skimage/data/rocket.jpg",
}
KEPT = {"chelsea.png"}
"""In their own size, 451 x 300: shrinking moves the model's answer."""


def shrunk(photograph: Image.Image) -> Image.Image:
    """Returns the photograph in its own proportions with the shortest side given above."""
    scale = SHORTEST_SIDE / min(photograph.size)
    size = (round(photograph.width * scale), round(photograph.height * scale))
    return photograph.resize(size, Image.Resampling.LANCZOS)


def main(wheels: Path) -> None:
    """Writes every photograph; JPEG where its artefacts leave the model's answer as it is."""
    for name, source in SOURCES.items():
        with Image.open(wheels / source) as photograph:
            picture = photograph if name in KEPT else shrunk(photograph)
            picture.save(TARGET / name, quality=92, subsampling=0, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
