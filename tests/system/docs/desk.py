"""A reader's desk: a folder with the files that the pages speak of."""

import re
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
from numpy.typing import NDArray
from onnx import numpy_helper
from PIL import Image

from tests.system.docs.code_blocks import BLOCKS, ROOT
from tests.system.evaluations.colour_server import NETWORK

GATED = {"model": 400, "released": 300, "trained": 400, "quantized": 390}
"""Models that policies judge, by how sure each is of the colour of a square."""

COMPARED = {"a": 400, "b": 200, "c": 100, "before": 300, "after": 200, "other": 100}
"""Models of pages that compare, which ask for many passes."""

SIDE = 224
"""Pixels a side of gated models and of images: `layer` asks for a grid of 14 cells of 16."""

IMAGES = ("beach", "cat", "empty", "fish", "goat", "horse")
PHOTOGRAPHS = ("coffee.jpg", "koala.jpg")
"""Of the bundled ones, so that pages which name their folder take seconds."""


FILE_NAME = re.compile(r"# (\w+\.toml)\b")
"""A file that a page shows bears its name in its first line."""


def lay_out(desk: Path) -> None:
    """Writes models, images, labels, masks and the repository's examples into a folder."""
    for side, models in ((SIDE, GATED), (32, COMPARED)):
        for name, gain in models.items():
            onnx.save(_network(side, gain), desk / f"{name}.onnx")
    for folder in ("images", "photographs", "train", "masks"):
        (desk / folder).mkdir()
    for place, stem in enumerate(IMAGES):
        pixels, mask = _square(place)
        for folder in ("images", "photographs", "train"):
            Image.fromarray(pixels).save(desk / folder / f"{stem}.jpg", quality=95)
        Image.fromarray(mask).save(desk / "masks" / f"{stem}.png")
    Image.fromarray(_square(1)[0]).save(desk / "cat.png")
    lines = [f"{stem}.jpg,{place % 3},camera {place % 2}" for place, stem in enumerate(IMAGES)]
    (desk / "labels.csv").write_text("\n".join(["file,label,group", *lines, ""]))
    for block in BLOCKS:
        if named := FILE_NAME.match(block.code):
            (desk / named[1]).write_text(block.code)
    _examples(desk)


def _network(side: int, gain: float) -> onnx.ModelProto:
    """Names the colour of a square, with an output of logits and one of their softmax."""
    text = NETWORK.replace("32, 32", f"{side}, {side}")
    text = text.replace("[N, 5] logits)", "[N, 5] logits, float[N, 5] scores)")
    text = text.replace("}", "scores = Softmax<axis = -1>(logits) }")
    model = onnx.parser.parse_model(text)
    kernel = np.einsum("oi,hw->oihw", np.eye(3), np.full((3, 3), 1 / 9)).astype(np.float32)
    head = np.eye(3, 5, dtype=np.float32) * gain
    for name, values in (("kernel", kernel), ("head", head)):
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    return model


def _square(place: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    side = SIDE // 4
    row, column = side * (place % 4), side * (place % 3)
    pixels[row : row + side, column : column + side, place % 3] = 255 - 8 * place
    return pixels, np.where(pixels.any(axis=2), 255, 0).astype(np.uint8)


def _examples(desk: Path) -> None:
    """Copies the examples, for blocks that walk through them; most photographs stay behind."""
    left = shutil.ignore_patterns("models", "photographs", "__pycache__")
    shutil.copytree(ROOT / "examples", desk / "examples", ignore=left)
    (desk / "examples" / "models").symlink_to(ROOT / "examples" / "models")
    (desk / "examples" / "photographs").mkdir()
    for name in PHOTOGRAPHS:
        shutil.copy(ROOT / "examples" / "photographs" / name, desk / "examples" / "photographs")
