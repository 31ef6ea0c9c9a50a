"""Writes a panel's images, classes and objects, for the command `heatproof compare`.

    python -m examples.comparing_models.images panel/

Run in the root of the repository, with the extra `server`.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from examples.comparing_models.planted import SCALE
from examples.shapes import shapes

PANEL_SEED = 2
"""Part of a panel's data: 0 trains, 1 tells the accuracy, 2 is compared on."""


def main() -> None:
    """Writes `images/`, `masks/` and `labels.csv`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=10, help="images")
    arguments = parser.parse_args()
    data = shapes(arguments.count, 0, PANEL_SEED, scale=SCALE)
    rows = ["file,label"]
    for kind in ("images", "masks"):
        (arguments.folder / kind).mkdir(parents=True, exist_ok=True)
    for place, (image, mask, label) in enumerate(
        zip(data.images, data.masks, data.labels, strict=True)
    ):
        name = f"{place:03}.png"
        cv2.imwrite(str(arguments.folder / "images" / name), image[..., ::-1])
        cv2.imwrite(str(arguments.folder / "masks" / name), 255 * mask.astype(np.uint8))
        rows.append(f"{name},{label}")
    (arguments.folder / "labels.csv").write_text("\n".join([*rows, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
