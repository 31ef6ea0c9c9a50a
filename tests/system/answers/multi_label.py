"""A network of several labels an image, images for it, and average precision by its definition."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import onnx.parser
from numpy.typing import NDArray
from PIL import Image

CLASSES: Final = 5
COLOURS: Final = 3
IMAGES: Final = 24

NETWORK = """
<ir_version: 8, opset_import: ["" : 18]>
g (float[N, 3, 32, 32] image) => (float[N, {classes}] p)
  <float[{classes}, 3] v, float[{classes}] b>
{{ pool = GlobalAveragePool (image)
   f = Flatten (pool)
   z = Gemm <transB = 1> (f, v, b)
   p = {head} (z) }}
"""


def network(head: str = "Sigmoid", *, gain: float = 12.0) -> bytes:
    """Classes 0, 1 and 2 where there is red, green or blue; 3 hardly and 4 never."""
    model = onnx.parser.parse_model(NETWORK.format(head=head, classes=CLASSES))
    weights = gain * np.eye(CLASSES, COLOURS)
    weights[3] = gain / 20
    bias = np.array([-0.3, -0.3, -0.3, -0.1, -1]) * gain
    for name, array in {"v": weights, "b": bias}.items():
        initializer = onnx.numpy_helper.from_array(array.astype(np.float32), name)
        model.graph.initializer.append(initializer)
    return model.SerializeToString()


def label_sets() -> list[tuple[int, ...]]:
    """What the images show: every set of colours three times, 3 beside some; one is mislabelled."""
    colours = list(itertools.product((False, True), repeat=COLOURS))
    shown = [tuple(np.flatnonzero(colours[index % 8]).tolist()) for index in range(IMAGES)]
    return [
        (0, 1, 2) if index == 8 else (*held, 3) if index % 7 == 1 else held
        for index, held in enumerate(shown)
    ]


def write_images(folder: Path) -> None:
    """The images in a folder of that name, and `labels.csv` beside it."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    colours = list(itertools.product((False, True), repeat=COLOURS))
    lines = ["file,labels"]
    for index, held in enumerate(label_sets()):
        pixels = rng.integers(0, 90, (32, 32, 3)).astype(np.uint8)
        pixels += (np.array(colours[index % 8]) * rng.integers(60, 120, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{index:02}.png")
        lines.append(f"{index:02}.png,{';'.join(map(str, held))}")
    (folder / "labels.csv").write_text("\n".join(lines))


def average_precision(scores: Sequence[float], shown: Sequence[bool]) -> float:
    """`sum over thresholds of (recall - the one before) * precision`, threshold by threshold."""
    total, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        found = [hit for score, hit in zip(scores, shown, strict=True) if score >= threshold]
        recall = sum(found) / sum(shown)
        total += (recall - before) * sum(found) / len(found)
        before = recall
    return total


def precisions(
    scores: NDArray[np.float64], held: Sequence[Sequence[int]] | None = None
) -> dict[int, float]:
    """The average precision of each class that an image shows."""
    sets = label_sets() if held is None else held
    return {
        index: average_precision(scores[:, index].tolist(), [index in each for each in sets])
        for index in range(scores.shape[1])
        if any(index in each for each in sets)
    }
