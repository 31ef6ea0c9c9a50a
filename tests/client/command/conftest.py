from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper
from PIL import Image

from tests.system.serving import serving, settings_for

NETWORK = """
<ir_version: 9, opset_import: ["" : 18]>
colours (float[N, 3, SIDE, SIDE] image) => (float[N, CLASSES] logits) {
    deep = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(image, kernel)
    seen = Relu(deep)
    pooled = GlobalAveragePool(seen)
    flat = Flatten(pooled)
    logits = Gemm(flat, head)
}
"""

POLICY = """
explainers = ["grad_cam"]
removals = ["black"]
seed = 3

[model.preprocessing]
resize = "none"

[[checks]]
metric = { insertion = { grid = 4, steps = 4 } }
min = 0.5
max_regression = 0.05
"""


def network(gain: float, *, classes: int = 3, side: int = 32) -> bytes:
    """A network that names the colour of a square; with a small gain it can hardly tell."""
    text = NETWORK.replace("SIDE", str(side)).replace("CLASSES", str(classes))
    model = onnx.parser.parse_model(text)
    kernel = np.zeros((3, 3, 3, 3), np.float32)
    for colour in range(3):
        kernel[colour, colour] = 1 / 9
    head = np.eye(3, classes, dtype=np.float32) * gain
    for name, values in (("kernel", kernel), ("head", head)):
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    return model.SerializeToString()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one server for all commands that need none of their own."""
    with serving(settings_for(tmp_path_factory.mktemp("commands"))) as running:
        yield running.address


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound network, a crippled one, twelve images and a policy."""
    folder = tmp_path_factory.mktemp("gate")
    (folder / "sound.onnx").write_bytes(network(100))
    (folder / "crippled.onnx").write_bytes(network(0.5))
    (folder / "policy.toml").write_text(POLICY)
    (folder / "images").mkdir()
    for index in range(12):
        pixels = np.zeros((32, 32, 3), np.uint8)
        row, column = 8 * (index % 3), 8 * (index % 2)
        pixels[row : row + 8, column : column + 8, index % 3] = 255 - index
        Image.fromarray(pixels).save(folder / "images" / f"{index:02}.png")
    return folder
