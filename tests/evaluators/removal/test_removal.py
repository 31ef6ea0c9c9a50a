import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.stats import kstest, truncnorm

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.removal import (
    REMOVALS,
    Adversarial,
    Black,
    Blur,
    Colour,
    Donor,
    Fill,
    Grey,
    Grey127,
    Inpaint,
    Layer,
    LinearImputation,
    Masking,
    Mean,
    Mode,
    Neighbourhood,
    Noise,
    OwnMax,
    OwnMin,
    RemovalOperator,
    Replacement,
    White,
    linear_imputation,
    multigrid,
)
from heatproof.evaluators.removal.inpaint import Method
from heatproof.evaluators.removal.neighbourhood import Statistic
from heatproof.evaluators.removal.noise import Distribution
from tests.evaluators.toys import bound, pixels

PIXEL_OPERATORS: tuple[RemovalOperator, ...] = (
    Black(),
    White(),
    Grey(),
    Grey127(),
    Mean(),
    Blur(sigma=2.0),
    Adversarial(),
    Donor(),
    Replacement(),
    Inpaint(),
    Inpaint(Method.NAVIER_STOKES),
    Colour(0.2, 0.4, 0.9),
    OwnMin(),
    OwnMax(),
    Noise(),
    Noise(Distribution.NORMAL),
    Neighbourhood(2),
    Neighbourhood(2, Statistic.UNIFORM),
    LinearImputation(),
    LinearImputation(0.0),
)
COLOURS: tuple[RemovalOperator, ...] = (
    Black(smooth_edges=True),
    White(smooth_edges=True),
    Grey(smooth_edges=True),
    Grey127(smooth_edges=True),
    Mean(smooth_edges=True),
    Colour(0.2, 0.4, 0.9, smooth_edges=True),
    OwnMin(smooth_edges=True),
    OwnMax(smooth_edges=True),
)
EVERY = (*PIXEL_OPERATORS, *COLOURS)


def random_mask(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((32, 32)) < 0.5


@given(st.integers(0, 99), st.sampled_from(EVERY))
def test_visible_pixels_keep_their_bits(seed: int, removal: RemovalOperator) -> None:
    image, mask = pixels(seed), random_mask(seed)
    shown = bound(removal, image)(mask)
    assert shown.dtype == np.float32
    assert np.array_equal(shown[:, mask], image[:, mask])


@pytest.mark.parametrize(
    ("removal", "colour"),
    [
        (Black(), (0, 0, 0)),
        (White(), (1, 1, 1)),
        (Grey(), (0.485, 0.456, 0.406)),
        (Colour(), (127 / 255, 127 / 255, 127 / 255)),
        (Grey127(), (127 / 255, 127 / 255, 127 / 255)),
        (Colour(0.2, 0.0, 1.0), (0.2, 0, 1)),
    ],
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


@pytest.mark.parametrize("removal", EVERY)
def test_content_free_operators_and_only_they_ignore_hidden_pixels(
    removal: RemovalOperator,
) -> None:
    mask = random_mask(2)
    image, other = pixels(0), np.where(mask, pixels(0), pixels(1, low=0.1))
    other[:, 0, 0] = image[:, 0, 0] if mask[0, 0] else 1  # a new largest value, too
    same = np.array_equal(bound(removal, image)(mask), bound(removal, other)(mask))
    assert same == removal.facts.content_free


def test_layer_leaves_pixels_to_the_network() -> None:
    image = pixels()
    layer = Layer(mode=Mode.STRICT)
    assert bound(layer, image)(random_mask(0)) is image
    assert layer.masking == Masking(Mode.STRICT)


@pytest.mark.parametrize("fill", [Fill.NONE, Fill.PARTIAL])
def test_strict_masking_excludes_other_fills(fill: Fill) -> None:
    assert Layer(fill=fill).masking == Masking(fill=fill)
    for refused in (Layer, Masking):
        with pytest.raises(InvalidArgumentError, match="use mode reference") as caught:
            refused(mode=Mode.STRICT, fill=fill)
        assert caught.value.field == "fill"


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


def test_own_extremes_are_those_of_all_pixels_and_channels() -> None:
    image = pixels()
    image[1, 3, 4], image[2, 9, 9] = 0.125, 1
    nothing = np.zeros((32, 32), np.bool_)
    assert (bound(OwnMin(), image)(nothing) == 0.125).all()
    assert (bound(OwnMax(), image)(nothing) == 1).all()


@pytest.mark.parametrize("removal", COLOURS)
def test_smooth_edges_are_the_gaussian_of_the_painted_image_inside_alone(
    removal: RemovalOperator,
) -> None:
    image, mask = pixels(), np.ones((32, 32), np.bool_)
    mask[:9, 4:20] = False
    painted = bound(replace(removal, smooth_edges=False), image)(mask)  # type: ignore[call-arg] # of colours
    oracle = gaussian_filter(
        painted.astype(np.float64), (0, 1, 1), mode="reflect", radius=(0, 2, 2)
    )
    shown = bound(removal, image)(mask)
    np.testing.assert_allclose(shown[:, ~mask], oracle[:, ~mask], atol=2e-6)  # float32 sums
    assert np.array_equal(shown[:, mask], image[:, mask])
    assert 0 <= shown.min() <= shown.max() <= 1


def drawn(removal: RemovalOperator, seed: int) -> np.ndarray:
    return bound(removal, pixels(side=128), seed)(np.zeros((128, 128), np.bool_)).astype(np.float64)


def test_uniform_noise_fills_the_unit_interval() -> None:
    for channel in drawn(Noise(), 0):
        assert kstest(channel.ravel(), "uniform").pvalue > 1e-3


def test_normal_noise_has_the_colours_of_imagenet() -> None:
    noise = drawn(Noise(Distribution.NORMAL), 0)
    for channel, mean, std in zip(noise, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True):
        inside = channel[(channel > 0) & (channel < 1)]
        expected = truncnorm((0 - mean) / std, (1 - mean) / std, mean, std)
        assert kstest(inside, expected.cdf).pvalue > 1e-3
        assert 0 < (channel == 0).mean() < 0.08


@pytest.mark.parametrize("removal", [Noise(), LinearImputation(0.1), Neighbourhood(4)])
def test_the_masks_of_a_curve_nest(removal: RemovalOperator) -> None:
    """What a pixel became stays, wherever its surroundings say the same."""
    image = np.full((3, 32, 32), 0.5, np.float32)
    render = bound(removal, image)
    wide, narrow = np.ones((2, 32, 32), np.bool_)
    wide[5:20, 5:20] = narrow[8:12, 8:12] = False
    np.testing.assert_allclose(render(wide)[:, ~narrow], render(narrow)[:, ~narrow], atol=1e-6)


def neighbours(mask: np.ndarray, row: int, column: int, radius: int) -> np.ndarray:
    """Where the visible pixels are in the first of the growing windows that holds any."""
    while True:
        window = np.zeros_like(mask)
        rows, columns = (slice(max(at - radius, 0), at + radius + 1) for at in (row, column))
        window[rows, columns] = True
        if (window & mask).any():
            return window & mask
        radius *= 2


@pytest.mark.parametrize("radius", [1, 3, 8])
@pytest.mark.parametrize("share", [0.5, 0.02])
def test_neighbourhoods_are_read_off_growing_windows(radius: int, share: float) -> None:
    image, mask = pixels(), np.random.default_rng(3).random((32, 32)) < share
    mean = bound(Neighbourhood(radius), image)(mask)
    draw = bound(Neighbourhood(radius, Statistic.UNIFORM), image)(mask)
    for row, column in np.argwhere(~mask)[::7]:
        seen = image[:, neighbours(mask, row, column, radius)].astype(np.float64)
        np.testing.assert_allclose(mean[:, row, column], seen.mean(axis=1), rtol=1e-6)
        low, high = seen.min(axis=1), seen.max(axis=1)
        if (high > low).all():
            shares = (draw[:, row, column] - low) / (high - low)
            assert 0 <= shares.min() < 1
            np.testing.assert_allclose(shares, shares[0], atol=1e-4)  # one draw a pixel
        else:
            np.testing.assert_allclose(draw[:, row, column], low, rtol=1e-6)


def solved(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The system of Rong et al., written out and solved at once."""
    weights = {(0, 1): 1 / 6, (1, 0): 1 / 6, (1, 1): 1 / 12}
    hidden = [(int(row), int(column)) for row, column in np.argwhere(~mask)]
    place = {pixel: index for index, pixel in enumerate(hidden)}
    system, right = np.zeros((len(hidden), len(hidden))), np.zeros((len(hidden), 3))
    for (row, column), i in place.items():
        for down, aside in itertools.product((-1, 0, 1), repeat=2):
            other = (row + down, column + aside)
            if (down, aside) == (0, 0) or not (0 <= other[0] < 32 and 0 <= other[1] < 32):
                continue
            weight = weights[abs(down), abs(aside)]
            system[i, i] += weight
            if other in place:
                system[i, place[other]] -= weight
            else:
                right[i] += weight * image[:, other[0], other[1]].astype(np.float64)
    filled = image.astype(np.float64)
    for pixel, colours in zip(hidden, np.linalg.solve(system, right), strict=True):
        filled[:, pixel[0], pixel[1]] = colours
    return filled


@pytest.mark.parametrize("share", [0.5, 0.02])
def test_linear_imputation_solves_its_system(share: float) -> None:
    image, mask = pixels(low=0.0), np.random.default_rng(5).random((32, 32)) < share
    shown = bound(LinearImputation(0.0), image)(mask)
    np.testing.assert_allclose(shown, solved(image, mask), atol=1e-6)
    assert shown.min() >= image[:, mask].min() - 1e-6  # the maximum principle
    assert shown.max() <= image[:, mask].max() + 1e-6


@pytest.mark.parametrize("mask", ["a pixel", "a corner", "rows"])
def test_what_is_far_from_every_visible_pixel_solves_the_system_too(
    mask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Multigrid goes over two levels."""
    image, visible = pixels(low=0.0), np.zeros((32, 32), np.bool_)
    visible[{"a pixel": (11, 20), "a corner": np.s_[:3, :5], "rows": np.s_[::16]}[mask]] = True
    monkeypatch.setattr(multigrid, "_COARSEST", 50)
    shown = bound(LinearImputation(0.0), image)(visible)
    np.testing.assert_allclose(shown, solved(image, visible), atol=1e-6)


def test_a_large_hole_is_filled_in_a_bounded_number_of_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the rows of a ramp, of which a frame is left; gradients alone take 300 steps."""
    counted = Counter[str]()
    cycle = multigrid.Multigrid.__call__
    monkeypatch.setattr(
        multigrid.Multigrid, "__call__", lambda own, x: counted.update(["cycles"]) or cycle(own, x)
    )
    ramp = np.add.outer(np.linspace(0, 0.4, 160), np.linspace(0, 0.6, 160))
    image = np.stack([ramp, ramp[::-1], 0 * ramp]).astype(np.float32)
    mask = np.ones((160, 160), np.bool_)
    mask[1:-1, 1:-1] = False
    shown = bound(LinearImputation(0.0), image)(mask)
    np.testing.assert_allclose(shown, image, atol=1e-6)
    assert 0 < counted["cycles"] <= 30 < linear_imputation.STEPS


def test_linear_imputation_reproduces_ramps_and_channels_of_zero() -> None:
    image = np.linspace(0, 1, 3 * 32 * 32, dtype=np.float32).reshape(3, 32, 32)
    image[0] = 0
    mask = np.ones((32, 32), np.bool_)
    mask[4:25, 6:30] = False
    np.testing.assert_allclose(bound(LinearImputation(0.0), image)(mask), image, atol=1e-6)


def test_the_noise_of_linear_imputation_is_added_and_clipped() -> None:
    image, mask = pixels(low=0.3, high=0.7, side=64), np.zeros((64, 64), np.bool_)
    mask[::8] = True
    still, noisy = (bound(LinearImputation(noise), image)(mask) for noise in (0.0, 0.05))
    noise = (noisy - still)[:, ~mask] / 0.05
    assert kstest(noise.ravel().astype(np.float64), "norm").pvalue > 1e-3
    loud = bound(LinearImputation(1.0), image)(mask)
    assert (loud.min(), loud.max()) == (0, 1)


@pytest.mark.parametrize(
    "removal", [Inpaint(), Neighbourhood(), LinearImputation(0.0)], ids=lambda one: one.name
)
def test_what_fills_from_surroundings_is_grey_where_nothing_is_visible(
    removal: RemovalOperator,
) -> None:
    nothing = np.zeros((32, 32), np.bool_)
    np.testing.assert_array_equal(
        bound(removal, pixels())(nothing), bound(Grey(), pixels())(nothing)
    )
