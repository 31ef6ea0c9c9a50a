import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from heatproof.evaluators.removal import (
    REMOVALS,
    Black,
    Blur,
    Donor,
    Grey,
    Inpaint,
    Layer,
    Mean,
    Mode,
    RemovalOperator,
    White,
)
from heatproof.evaluators.removal.inpaint import Method
from tests.evaluators.toys import bound, pixels

PIXEL_OPERATORS: tuple[RemovalOperator, ...] = (
    Black(),
    White(),
    Grey(),
    Mean(),
    Blur(sigma=2.0),
    Donor(),
    Inpaint(),
    Inpaint(Method.NAVIER_STOKES),
)


def random_mask(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((32, 32)) < 0.5


@given(st.integers(0, 99), st.sampled_from(PIXEL_OPERATORS))
def test_visible_pixels_keep_their_bits(seed: int, removal: RemovalOperator) -> None:
    image, mask = pixels(seed), random_mask(seed)
    shown = bound(removal, image)(mask)
    assert shown.dtype == np.float32
    assert np.array_equal(shown[:, mask], image[:, mask])


@pytest.mark.parametrize(
    ("removal", "colour"),
    [(Black(), (0, 0, 0)), (White(), (1, 1, 1)), (Grey(), (0.485, 0.456, 0.406))],
)
def test_hidden_pixels_take_the_colour(removal: RemovalOperator, colour: tuple[float, ...]) -> None:
    image, mask = pixels(), random_mask(1)
    hidden = bound(removal, image)(mask)[:, ~mask]
    assert (hidden == np.array(colour, np.float32)[:, None]).all()


def test_mean_paints_the_mean_of_each_channel_of_the_whole_image() -> None:
    image = pixels()
    hidden = bound(Mean(), image)(np.zeros((32, 32), np.bool_))
    expected = image.astype(np.float64).mean(axis=(1, 2))
    # one rounding to float32
    np.testing.assert_allclose(hidden[:, 0, 0], expected, rtol=1e-7)
    assert (hidden == hidden[:, :1, :1]).all()


def test_donor_shows_the_same_place_of_the_other_image() -> None:
    image, mask = pixels(), random_mask(3)
    shown = bound(Donor(), image)(mask)
    assert np.array_equal(shown[:, ~mask], pixels(1234)[:, ~mask])


@pytest.mark.parametrize("sigma", [0.5, 2.0, 10.0])
def test_blur_is_the_gaussian_with_reflected_borders(sigma: float) -> None:
    image = pixels()
    hidden = bound(Blur(sigma=sigma), image)(np.zeros((32, 32), np.bool_))
    oracle = gaussian_filter(
        image.astype(np.float64), (0, sigma, sigma), mode="reflect", truncate=4
    )
    np.testing.assert_allclose(hidden, oracle, atol=2e-6)  # float32 sums


@pytest.mark.parametrize("removal", PIXEL_OPERATORS)
def test_content_free_operators_and_only_they_ignore_hidden_pixels(
    removal: RemovalOperator,
) -> None:
    mask = random_mask(2)
    image, other = pixels(0), np.where(mask, pixels(0), pixels(1))
    same = np.array_equal(bound(removal, image)(mask), bound(removal, other)(mask))
    assert same == removal.facts.content_free


def test_layer_leaves_pixels_to_the_network() -> None:
    image = pixels()
    layer = Layer(mode=Mode.STRICT)
    assert bound(layer, image)(random_mask(0)) is image
    assert layer.masking is Mode.STRICT


def test_only_layer_removes_inside_the_network() -> None:
    inside = [name for name in REMOVALS if REMOVALS[name]().masking]
    assert inside == ["layer"]


def test_inpainting_keeps_flat_surroundings_and_stays_between_its_neighbours() -> None:
    image = np.zeros((3, 32, 32), np.float32)
    image[:, :, 16:] = 0.8  # 204 of 255
    mask = np.ones((32, 32), np.bool_)
    mask[8:20, 4:12] = mask[8:20, 22:28] = False
    shown = bound(Inpaint(), image)(mask)
    np.testing.assert_allclose(shown, image, atol=2 / 255)  # OpenCV rounds to bytes
    mask[8:20, 12:22] = False
    shown = bound(Inpaint(), image)(mask)
    assert shown.min() >= 0
    assert shown.max() <= np.float32(0.81)
    assert 0.1 < shown[0, 13, 16] < 0.7


def test_inpainting_without_anything_visible_is_grey() -> None:
    shown = bound(Inpaint(), pixels())(np.zeros((32, 32), np.bool_))
    np.testing.assert_array_equal(shown, bound(Grey(), pixels())(np.zeros((32, 32), np.bool_)))
