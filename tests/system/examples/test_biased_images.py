"""The images of examples/consistency_training are biased as they say."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SOURCE = Path(__file__).parents[3] / "examples" / "consistency_training" / "shapes.py"


@pytest.fixture(scope="module")
def shapes() -> ModuleType:
    spec = importlib.util.spec_from_file_location("shapes", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def share_told_by_color(shapes: ModuleType, bias: float) -> float:
    """How many classes the mean color behind the patch tells, by the nearest of the classes'."""
    sure = shapes.shapes(400, 1.0, seed=1)
    drawn = shapes.shapes(400, bias, seed=2)
    known = [behind(sure)[sure.labels == label].mean(0) for label in range(shapes.CLASSES)]
    distances = np.linalg.norm(behind(drawn)[:, None] - np.array(known), axis=2)
    return float((distances.argmin(1) == drawn.labels).mean())


def behind(data: object) -> np.ndarray:
    """Mean color outside the patch, less its grey: [images, 3]."""
    pairs = zip(data.images, data.masks, strict=True)  # type: ignore[attr-defined]  # of the example
    colors = np.stack([image[~mask].mean(0) for image, mask in pairs])
    tinted: np.ndarray = colors - colors.mean(1, keepdims=True)
    return tinted


def test_the_color_tells_the_class_as_often_as_the_bias_says(shapes: ModuleType) -> None:
    assert share_told_by_color(shapes, 1.0) > 0.99
    assert abs(share_told_by_color(shapes, 0.8) - (0.8 + 0.2 / 4)) < 0.07
    assert abs(share_told_by_color(shapes, 0.0) - 1 / 4) < 0.09


def test_equal_seeds_draw_equal_images_and_masks_hold_the_patch(shapes: ModuleType) -> None:
    first, second = shapes.shapes(20, 0.8, seed=3), shapes.shapes(20, 0.8, seed=3)
    assert np.array_equal(first.images, second.images)
    assert (first.masks.sum((1, 2)) == shapes.PATCH**2).all()
    assert first.images.dtype == np.uint8
