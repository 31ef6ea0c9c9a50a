"""The images that the examples draw are biased as they say."""

import numpy as np

from examples.shapes import CLASSES, PATCH, Shapes, shapes


def share_told_by_color(bias: float) -> float:
    """How many classes the mean color behind the patch tells, by the nearest of the classes'."""
    sure = shapes(400, 1.0, seed=1)
    drawn = shapes(400, bias, seed=2)
    known = [behind(sure)[sure.labels == label].mean(0) for label in range(CLASSES)]
    distances = np.linalg.norm(behind(drawn)[:, None] - np.array(known), axis=2)
    return float((distances.argmin(1) == drawn.labels).mean())


def behind(data: Shapes) -> np.ndarray:
    """Mean color outside the patch, less its grey: [images, 3]."""
    pairs = zip(data.images, data.masks, strict=True)
    colors = np.stack([image[~mask].mean(0) for image, mask in pairs])
    tinted: np.ndarray = colors - colors.mean(1, keepdims=True)
    return tinted


def test_the_color_tells_the_class_as_often_as_the_bias_says() -> None:
    assert share_told_by_color(1.0) > 0.99
    assert abs(share_told_by_color(0.8) - (0.8 + 0.2 / 4)) < 0.07
    assert abs(share_told_by_color(0.0) - 1 / 4) < 0.09


def test_equal_seeds_draw_equal_images_and_masks_hold_the_patch() -> None:
    first, second = shapes(20, 0.8, seed=3), shapes(20, 0.8, seed=3)
    assert np.array_equal(first.images, second.images)
    assert (first.masks.sum((1, 2)) == PATCH**2).all()
    assert first.images.dtype == np.uint8


def test_enlarged_images_are_the_same_drawings() -> None:
    small, large = shapes(5, 0.5, seed=4), shapes(5, 0.5, seed=4, scale=2)
    assert np.array_equal(small.labels, large.labels)
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        assert np.array_equal(large.images[:, row::2, column::2], small.images)
        assert np.array_equal(large.masks[:, row::2, column::2], small.masks)
