import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from heatproof.evaluators.errors import InvalidArgumentError, InvalidImageError
from heatproof.evaluators.images.frames import (
    Geometry,
    image_to_input,
    map_to_input,
    mask_to_input,
    stretched,
)
from heatproof.evaluators.images.preprocessing import PRESETS, Filter, Preprocessing, Resize
from heatproof.evaluators.images.sources import Frame, FramedMap, FramedMask
from heatproof.evaluators.regions.grid import GridCells, comparable

IMAGENET = PRESETS["imagenet"].sized(224, 224)


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def by_hand(pixels: np.ndarray, shortest: int, crop: int, resample: int) -> np.ndarray:
    """torchvision's Resize(shortest), CenterCrop(crop), ToTensor, written out."""
    image = Image.fromarray(pixels)
    width, height = image.size
    if width <= height:
        size = shortest, int(shortest * height / width)
    else:
        size = int(shortest * width / height), shortest
    image = image.resize(size, resample)
    top, left = round((size[1] - crop) / 2.0), round((size[0] - crop) / 2.0)
    image = image.crop((left, top, left + crop, top + crop))
    return np.asarray(image).transpose(2, 0, 1) / np.float32(255)


@settings(max_examples=40, deadline=None)
@given(st.integers(20, 400), st.integers(20, 400))
def test_shortest_side_and_crop_are_torchvisions(height: int, width: int) -> None:
    pixels = photo(height, width)
    expected = by_hand(pixels, 256, 224, Image.Resampling.BILINEAR)
    assert np.array_equal(image_to_input(pixels, IMAGENET), expected)


@pytest.mark.parametrize("kind", list(Filter))
def test_filters_are_pillows(kind: Filter) -> None:
    resample = Image.Resampling[kind.name]
    preprocessing = Preprocessing(resize=Resize.STRETCH, height=20, width=30, filter=kind)
    pixels = photo(50, 40)
    expected = np.asarray(Image.fromarray(pixels).resize((30, 20), resample)) / np.float32(255)
    assert np.array_equal(image_to_input(pixels, preprocessing), expected.transpose(2, 0, 1))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.integers(1, 40),
    st.integers(1, 40),
    st.floats(0.3, 1),
)
def test_inputs_of_any_shape_are_covered_by_a_picture_of_the_same_shape(
    height: int, width: int, rows: int, columns: int, fraction: float
) -> None:
    preprocessing = Preprocessing(
        resize=Resize.SHORTEST_SIDE, height=rows, width=columns, crop_fraction=fraction
    )
    found = Geometry.of((height, width), preprocessing)
    assert found.resized_height >= rows
    assert found.resized_width >= columns
    assert 0 <= found.top <= found.resized_height - rows
    assert 0 <= found.left <= found.resized_width - columns
    tight = min(found.resized_height * fraction / rows, found.resized_width * fraction / columns)
    assert tight <= 1 + 1e-6  # no larger than needed on one side


@pytest.mark.parametrize(
    ("side", "fraction", "resized"), [(224, 0.875, 256), (224, 0.7, 320), (299, 0.9, 332)]
)
def test_the_resized_side_is_the_floor_of_the_decimal_quotient(
    side: int, fraction: float, resized: int
) -> None:
    preprocessing = Preprocessing(
        resize=Resize.SHORTEST_SIDE, height=side, width=side, crop_fraction=fraction
    )
    assert Geometry.of((500, 500), preprocessing).resized_height == resized


def test_no_resize_takes_the_right_size_as_it_is_and_refuses_others() -> None:
    preprocessing = Preprocessing(resize=Resize.NONE, height=8, width=6)
    pixels = photo(8, 6)
    expected = pixels.transpose(2, 0, 1) / np.float32(255)
    assert np.array_equal(image_to_input(pixels, preprocessing), expected)
    with pytest.raises(InvalidImageError, match="7 x 8 pixels, the model takes 6 x 8"):
        image_to_input(photo(8, 7), preprocessing)


def test_a_sliver_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(InvalidImageError, match="less extreme"):
        Geometry.of((1, 30_000_000), IMAGENET)


@pytest.mark.parametrize("kind", [Filter.BICUBIC, Filter.LANCZOS, Filter.BILINEAR])
def test_float_pixels_go_the_same_way_as_bytes(kind: Filter) -> None:
    preprocessing = Preprocessing(
        resize=Resize.SHORTEST_SIDE, height=24, width=24, crop_fraction=0.8, filter=kind
    )
    pixels = photo(60, 45) // 2 + 64  # no overshoot, which bytes would clip in each pass
    floats = image_to_input((pixels / 255).astype(np.float32), preprocessing)
    # bytes are rounded after each of Pillow's two passes
    np.testing.assert_allclose(image_to_input(pixels, preprocessing), floats, atol=1.2 / 255)
    assert floats.min() >= 0
    assert floats.max() <= 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.01, 1.01])
def test_float_pixels_outside_the_unit_interval_are_refused(value: float) -> None:
    pixels = np.full((4, 4, 3), 0.5, np.float32)
    pixels[1, 2, 0] = value
    with pytest.raises(InvalidImageError, match=r"\[0, 1\]"):
        image_to_input(pixels, PRESETS["unit"].sized(4, 4))


@settings(max_examples=30, deadline=None)
@given(st.integers(20, 90), st.integers(20, 90), st.sampled_from(["imagenet", "unit"]))
def test_source_maps_take_the_way_of_their_image(height: int, width: int, preset: str) -> None:
    # The map is the red channel itself: it must stay so in the input frame.
    preprocessing = PRESETS[preset].sized(24, 20)
    pixels = photo(height, width)
    red = FramedMap(Frame.SOURCE, (pixels[:, :, 0] / 255).astype(np.float32))
    carried = map_to_input(red, (height, width), preprocessing)
    expected = image_to_input(pixels, preprocessing)[0]
    np.testing.assert_allclose(carried, expected, atol=1.2 / 255)  # bytes are rounded twice


def test_a_coarse_source_map_is_stretched_over_the_whole_image() -> None:
    halves = FramedMap(Frame.SOURCE, np.array([[0.0, 1.0]], np.float32))
    preprocessing = PRESETS["unit"].sized(8, 8)
    carried = map_to_input(halves, (100, 300), preprocessing)
    assert (carried[:, 0] == 0).all()
    assert (carried[:, -1] == 1).all()
    assert (np.diff(carried, axis=1) >= 0).all()


def test_channels_of_a_map_are_summed() -> None:
    values = np.random.default_rng(0).normal(size=(3, 6, 5)).astype(np.float32)
    found = map_to_input(FramedMap(Frame.MODEL_INPUT, values), (9, 9), PRESETS["unit"].sized(6, 5))
    assert np.array_equal(found, values.astype(np.float64).sum(axis=0))


def test_input_maps_ignore_the_crop_of_the_image() -> None:
    values = np.random.default_rng(0).normal(size=(224, 224)).astype(np.float32)
    found = map_to_input(FramedMap(Frame.MODEL_INPUT, values), (600, 300), IMAGENET)
    assert np.array_equal(found, values.astype(np.float64))


@pytest.mark.parametrize("frame", list(Frame))
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_maps_that_are_not_finite_are_refused(frame: Frame, value: float) -> None:
    values = np.zeros((4, 4), np.float32)
    values[2, 2] = value
    with pytest.raises(InvalidArgumentError, match="NaN or infinity"):
        map_to_input(FramedMap(frame, values), (4, 4), PRESETS["unit"].sized(4, 4))


def test_stretching_to_the_same_size_keeps_every_bit() -> None:
    values = np.random.default_rng(0).normal(size=(7, 7)) * 1e-12
    assert np.array_equal(stretched(values, 7, 7), values)


@settings(max_examples=40, deadline=None)
@given(*(st.integers(1, 60) for _ in range(4)))
def test_maps_are_resampled_as_pillow_does_it(
    rows: int, columns: int, high: int, wide: int
) -> None:
    values = np.random.default_rng(rows).normal(size=(rows, columns))
    plane = Image.fromarray(values.astype(np.float32))
    expected = np.asarray(plane.resize((wide, high), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(stretched(values, high, wide), expected, atol=2e-6)


@pytest.mark.parametrize("coarse", [5, 7, 14])
@pytest.mark.parametrize(("size", "side"), [(224, 7), (224, 14), (299, 13)])
def test_resampling_does_not_order_cells_that_are_equal(coarse: int, size: int, side: int) -> None:
    values = np.random.default_rng(coarse).integers(0, 4, (coarse, coarse)) * 0.1
    values = values + values[::-1]
    values = values + values[:, ::-1]
    values = values + values.T
    for made in (
        stretched(values, size, size),
        map_to_input(
            FramedMap(Frame.SOURCE, values.astype(np.float32)),
            (400, 400),
            PRESETS["imagenet"].sized(size, size),
        ),
    ):
        cells = comparable(GridCells(size, size, side).means(made)).reshape(side, side)
        for image in (cells[::-1], cells[:, ::-1], cells.T):
            assert np.array_equal(cells, image)


@pytest.mark.parametrize("shape", [(1, 1_000_000), (1_000_000, 1)])
def test_a_sliver_of_a_map_does_not_fill_the_memory(shape: tuple[int, int]) -> None:
    ramp = np.linspace(0, 1, 1_000_000).reshape(shape)
    tracemalloc.start()
    found = stretched(ramp, 224, 224)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    along = found[0] if shape[0] == 1 else found[:, 0]
    # The mean of a ramp under a triangle is its middle, but at the two ends.
    np.testing.assert_allclose(along[1:-1], (np.arange(1, 223) + 0.5) / 224, atol=1e-5)
    assert peak < 200 * ramp.size


@pytest.mark.parametrize("exponent", [-500, -140, 140, 500])
def test_the_scale_of_a_map_leaves_its_shape(exponent: int) -> None:
    values = np.random.default_rng(0).normal(size=(7, 5))
    scaled = stretched(np.ldexp(values, exponent), 30, 20)
    assert np.array_equal(scaled, np.ldexp(stretched(values, 30, 20), exponent))


def test_masks_take_nearest_pixels_and_the_way_of_their_image() -> None:
    marked = np.zeros((40, 80), np.bool_)
    marked[:, 30:50] = True
    preprocessing = Preprocessing(resize=Resize.SHORTEST_SIDE, height=40, width=40)
    found = mask_to_input(FramedMask(Frame.SOURCE, marked), (40, 80), preprocessing)
    assert found.dtype == np.bool_
    assert np.array_equal(found, marked[:, 20:60])


def test_input_masks_are_not_cropped() -> None:
    marked = np.zeros((8, 8), np.bool_)
    marked[0, 0] = True
    found = mask_to_input(FramedMask(Frame.MODEL_INPUT, marked), (99, 33), IMAGENET)
    assert np.array_equal(found, np.kron(marked, np.ones((28, 28), np.bool_)))
