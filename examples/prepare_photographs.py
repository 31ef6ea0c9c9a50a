"""Shrinks the photographs named in photographs/ORIGIN.md to a shortest side of 256 pixels.

One keeps its own size, see below.

Needs the wheels scikit-image 0.26.0, scikit-learn 1.9.1 and matplotlib 3.11.2 and Debian's packages
gcompris-qt-data 3.1-2 and palapeli-data 4:22.12.3-1, unpacked into the folder given as the only
argument, and Pillow. `README.md` beside this file has the commands.
"""

import io
import struct
import sys
from pathlib import Path

from PIL import Image

SHORTEST_SIDE = 256
TARGET = Path(__file__).with_name("photographs")

WHEELS = {
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

PUZZLES = "usr/share/palapeli/collection"
COLLECTION = {
    "bee.jpg": "european-honey-bee.jpg",
    "suspension_bridge.jpg": "cincinnati-bridge.jpg",
}

RESOURCES = "usr/share/gcompris-qt/rcc"
ACTIVITIES = {
    "anemone_fish.jpg": "categorization/resource/images/fishes/fish9.webp",
    "baseball.jpg": "categorization/resource/images/others/baseball.webp",
    "bison.jpg": "explore_world_animals/resource/animals/bison.webp",
    "bucket.jpg": "categorization/resource/images/others/bucket.webp",
    "chameleon.jpg": "erase/resource/chamaeleon.webp",
    "frying_pan.jpg": "categorization/resource/images/others/pan.webp",
    "german_shepherd.jpg": "explore_farm_animals/resource/animals/dog.webp",
    "gibbon.jpg": "erase/resource/gibbon.webp",
    "goldfish.jpg": "categorization/resource/images/fishes/fish25.webp",
    "hammer.jpg": "categorization/resource/images/tools/hammer1.webp",
    "hen.jpg": "explore_farm_animals/resource/animals/chicken.webp",
    "jaguar.jpg": "explore_world_animals/resource/animals/jaguar.webp",
    "kingfisher.jpg": "erase/resource/kingfisher.webp",
    "koala.jpg": "explore_world_animals/resource/animals/koala.webp",
    "komodo_dragon.jpg": "explore_world_animals/resource/animals/dragon.webp",
    "lemur.jpg": "explore_world_animals/resource/animals/lemur.webp",
    "macaw.jpg": "explore_world_animals/resource/animals/scarlet_macaw.webp",
    "panda.jpg": "explore_world_animals/resource/animals/panda.webp",
    "pig.jpg": "explore_farm_animals/resource/animals/pig.webp",
    "plate.jpg": "categorization/resource/images/others/plate.webp",
    "polar_bear.jpg": "explore_world_animals/resource/animals/polar_bear.webp",
    "puffer.jpg": "categorization/resource/images/fishes/fish28.webp",
    "red_panda.jpg": "erase/resource/red_panda.webp",
    "scale.jpg": "categorization/resource/images/others/weighingMachine.webp",
}


def shrunk(photograph: Image.Image) -> Image.Image:
    """Returns the photograph in its own proportions with the shortest side given above."""
    scale = SHORTEST_SIDE / min(photograph.size)
    size = (round(photograph.width * scale), round(photograph.height * scale))
    return photograph.resize(size, Image.Resampling.LANCZOS)


def resource(packed: bytes, path: str) -> bytes:
    """Finds an uncompressed file in a Qt resource collection by its path."""
    tree, data, names = struct.unpack_from(">4sIIII", packed)[2:]
    node = 0
    for part in path.split("/"):
        count, first = struct.unpack_from(">II", packed, tree + 22 * node + 6)
        for node in range(first, first + count):
            (name,) = struct.unpack_from(">I", packed, tree + 22 * node)
            (length,) = struct.unpack_from(">H", packed, names + name)
            start = names + name + 6
            if packed[start : start + 2 * length].decode("utf-16-be") == part:
                break
        else:
            raise FileNotFoundError(path)
    (offset,) = struct.unpack_from(">I", packed, tree + 22 * node + 10)
    (size,) = struct.unpack_from(">I", packed, data + offset)
    return packed[data + offset + 4 : data + offset + 4 + size]


def activity(unpacked: Path, path: str) -> io.BytesIO:
    """A picture of a GCompris activity."""
    packed = unpacked / RESOURCES / f"{path.partition('/')[0]}.rcc"
    return io.BytesIO(resource(packed.read_bytes(), f"gcompris/src/activities/{path}"))


def main(unpacked: Path) -> None:
    """Writes every photograph; JPEG where its artefacts leave the model's answer as it is."""
    for name, source in WHEELS.items():
        with Image.open(unpacked / source) as photograph:
            picture = photograph if name in KEPT else shrunk(photograph)
            picture.save(TARGET / name, quality=92, subsampling=0, optimize=True)
    sources = {name: unpacked / PUZZLES / file for name, file in COLLECTION.items()}
    sources |= {name: activity(unpacked, path) for name, path in ACTIVITIES.items()}
    for name, source in sources.items():
        with Image.open(source) as photograph:
            picture = shrunk(photograph.convert("RGB"))
            picture.save(TARGET / name, quality=88, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
