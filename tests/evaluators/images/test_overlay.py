import cv2
import numpy as np
import pytest

from heatproof.evaluators.images.overlay import overlay, photograph
from tests.evaluators.toys import SIDE, pixels


def drawn(image: np.ndarray, attribution: np.ndarray) -> np.ndarray:
    decoded = cv2.imdecode(
        np.frombuffer(overlay(image, attribution).png, np.uint8), cv2.IMREAD_COLOR
    )
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


def test_the_ends_of_the_scale_are_those_that_are_drawn() -> None:
    values = np.arange(SIDE * SIDE, dtype=float).reshape(SIDE, SIDE) + 3
    found = overlay(pixels(), values)
    assert found.lowest == 3
    assert found.highest == pytest.approx(3 + 0.99 * (SIDE * SIDE - 1), rel=1e-12)
    spot = np.zeros((SIDE, SIDE))
    spot[0, 0] = 7
    assert (overlay(pixels(), spot).lowest, overlay(pixels(), spot).highest) == (0, 7)
    silent = overlay(pixels(), -values)
    assert (silent.lowest, silent.highest) == (0, 0)


def test_the_photograph_has_the_colours_of_the_image() -> None:
    image = np.zeros((3, 32, 32), np.float32)
    image[0, :, :16], image[2, :, 16:] = 1.0, 0.5
    data = np.frombuffer(photograph(image), np.uint8)
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
    assert decoded is not None
    assert np.abs(decoded[:, :8].astype(int) - [255, 0, 0]).max() <= 6
    assert np.abs(decoded[:, 24:].astype(int) - [0, 0, 127]).max() <= 6
