import cv2
import numpy as np
import pytest

from heatproof.evaluators.images.overlay import overlay
from tests.evaluators.toys import SIDE, pixels


def drawn(image: np.ndarray, attribution: np.ndarray) -> np.ndarray:
    decoded = cv2.imdecode(np.frombuffer(overlay(image, attribution), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded[:, :, ::-1].astype(int)


def ramp() -> np.ndarray:
    return np.tile(np.linspace(0.0, 1.0, SIDE), (SIDE, 1))


def test_a_silent_map_shows_the_grey_image() -> None:
    image = pixels()
    found = drawn(image, np.zeros((SIDE, SIDE)))
    assert found.shape == (SIDE, SIDE, 3)
    grey = np.tensordot([0.299, 0.587, 0.114], image, axes=1) * 255
    assert np.abs(found - grey[:, :, None]).max() <= 1


def test_negative_attribution_is_not_drawn() -> None:
    image = pixels()
    assert np.array_equal(drawn(image, -ramp()), drawn(image, np.zeros((SIDE, SIDE))))


@pytest.mark.parametrize("level", [0.0, 0.5])
def test_more_attribution_is_brighter_and_more_colourful_on_a_dark_image(level: float) -> None:
    image = np.full((3, SIDE, SIDE), level, np.float32)
    row = drawn(image, ramp())[0]
    chroma = row.max(axis=1) - row.min(axis=1)
    assert chroma[0] <= 1
    assert chroma[-1] > 60
    if level == 0:
        assert (np.diff(row.sum(axis=1)) >= -2).all()  # rounding of three bytes


def test_the_scale_of_a_map_does_not_matter() -> None:
    image = pixels()
    assert np.array_equal(drawn(image, ramp()), drawn(image, ramp() * 1e-9))


def test_one_extreme_pixel_does_not_darken_the_rest() -> None:
    image = np.zeros((3, SIDE, SIDE), np.float32)
    spiked = ramp()
    spiked[0, 0] = 1e6
    others = np.s_[1:, 1:]
    difference = np.abs(drawn(image, spiked)[others] - drawn(image, ramp())[others])
    assert difference.max() <= 20


def test_a_single_salient_pixel_is_seen() -> None:
    spot = np.zeros((SIDE, SIDE))
    spot[3, 4] = 1
    found = drawn(np.zeros((3, SIDE, SIDE), np.float32), spot)
    assert found[3, 4].sum() > 300
    assert found.sum() == found[3, 4].sum()
