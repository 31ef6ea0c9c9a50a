"""Models of other exporters, against what their own frameworks say (exported/README.md)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from heatproof.graphs.canonical.spatial import last_feature_map
from heatproof.graphs.gradients import differentiated
from heatproof.graphs.heads.signature import Layout, find_class_output, find_image_input
from heatproof.graphs.masking import MaskingOptions, Mode, layer_masked
from heatproof.graphs.preparation import prepared
from tests.graphs.masking.laws import CHECKS, Laws
from tests.graphs.sessions import opened

Array = NDArray[Any]
FOLDER = Path(__file__).parent / "exported"
NAMES = sorted(path.stem for path in FOLDER.glob("*.onnx"))

TOLERANCE = 1e-5
"""Of the norm: float32 rounds to 6e-8, and errors add up over some 10 layers of 10^2 terms."""

MAPS = {  # rows and columns of the last feature map
    "keras_efficientnet": (8, 16, 16), "keras_mobilenet_v2": (8, 8, 8),
    "keras_mobilenet_v3": (20, 8, 8), "keras_resnet": (5, 4, 4),
    "paddle_lcnet": (12, 8, 8), "paddle_resnet_vd": (8, 9, 9),
}  # fmt: skip


@dataclass(frozen=True)
class Example:
    """A model, an image and the framework's answers."""

    model: ir.Model
    image: Array
    vector: Array
    output: Array
    gradient: Array


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def example(name: str) -> Example:
    with np.load(FOLDER / f"{name}.npz") as answers:
        output, gradient = answers["output"], answers["gradient"]
        low, high = answers["interval"]
    image = np.random.default_rng(3).uniform(low, high, gradient.shape).astype(np.float32)
    vector = np.random.default_rng(9).standard_normal(output.shape).astype(np.float32)
    centred = vector - vector.mean(axis=1, keepdims=True)
    model = ir.from_proto(onnx.load(FOLDER / f"{name}.onnx"))
    return Example(model, image, centred, output, gradient)


def relative(found: Array, expected: Array) -> float:
    assert found.shape == expected.shape
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def test_the_prepared_model_answers_as_the_framework_does(example: Example) -> None:
    plain = prepared(example.model)
    run = opened(plain)
    (output,) = run(**{find_image_input(plain).name: example.image}).values()
    assert relative(output, example.output) < TOLERANCE
    targets = [node.inputs[1] for node in plain.graph if node.op_type == "Reshape"]
    assert all(target is not None and target.const_value is not None for target in targets)


def test_the_gradient_is_the_frameworks(example: Example) -> None:
    image = find_image_input(prepared(example.model)).name
    run = opened(differentiated(example.model))
    results = run(**{image: example.image, "output_gradient": example.vector})
    assert relative(results["input_gradient"], example.gradient) < TOLERANCE


@pytest.mark.parametrize("mode", list(Mode))
def test_masked_models_obey_the_laws(example: Example, mode: Mode) -> None:
    laws = Laws(example.model, MaskingOptions(mode=mode))
    for name, check in CHECKS.items():
        if name != "masks":  # of 4 x 4 cells, a wide window shows all that a box shows one of
            check(laws)


def test_the_mask_keeps_its_shape_whatever_the_layout(example: Example) -> None:
    image = find_image_input(prepared(example.model))
    (mask,) = (v for v in layer_masked(example.model).graph.inputs if v.name == "mask")
    assert mask.shape is not None
    assert tuple(mask.shape[1:]) == (1, image.height, image.width)


def test_the_last_feature_map_is_found_whatever_the_layout(name: str, example: Example) -> None:
    plain = prepared(example.model)
    logits = find_class_output(plain).logits
    found = last_feature_map(plain, logits)
    (shape,) = (v.shape for node in plain.graph for v in node.outputs if v.name == found)
    assert shape is not None
    assert tuple(shape[1:]) == MAPS[name]


def test_the_layout_is_that_of_the_exporter(name: str, example: Example) -> None:
    layout = find_image_input(prepared(example.model)).layout
    assert layout is (Layout.NHWC if name.startswith("keras") else Layout.NCHW)
