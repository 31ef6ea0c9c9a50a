import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.segmentation import quickshift, slic

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.queries.seeds import generator
from heatproof.evaluators.regions import (
    Grid,
    Patches,
    Pixels,
    Quickshift,
    Segmentation,
    Slic,
)
from heatproof.evaluators.regions.grid import GridCells, saliency_order
from heatproof.evaluators.regions.segmentation import check_holes, check_segmentation
from heatproof.evaluators.regions.segments import Segments
from heatproof.evaluators.removal import Black, Layer
from tests.evaluators.toys import linear, pixels, sample_of

KINDS: tuple[Segmentation, ...] = (
    Grid(side=6),
    Slic(segments=12, compactness=100.0),
    Quickshift(kernel=2.0, distance=40.0, ratio=0.5),
    Patches(side=5),
    Pixels(),
)


def patches(side: int = 32) -> np.ndarray:
    """Four quarters of one colour each."""
    colours = np.array([[0.9, 0.1, 0.1], [0.1, 0.9, 0.1], [0.1, 0.1, 0.9], [0.9, 0.9, 0.1]])
    quarters = GridCells(side, side, 2).spread(np.arange(4))
    return np.ascontiguousarray(colours[quarters].transpose(2, 0, 1), np.float32)


@given(st.integers(0, 9), st.sampled_from(KINDS))
@settings(max_examples=12, deadline=None)
def test_regions_hold_every_pixel_once_in_the_order_of_their_first_pixels(
    seed: int, kind: Segmentation
) -> None:
    regions = kind.regions(pixels(seed))
    labels = regions.labels
    numbers, firsts = np.unique(labels, return_index=True)
    assert numbers.tolist() == list(range(regions.cells))
    if not isinstance(kind, Grid):
        assert (np.diff(firsts) > 0).all()
    assert np.array_equal(regions.areas, [(labels == number).sum() for number in numbers])
    assert regions.cells <= kind.most(32, 32)


@given(st.integers(0, 9), st.sampled_from(KINDS))
@settings(max_examples=12, deadline=None)
def test_sums_means_and_masks_are_those_of_a_loop_over_regions(
    seed: int, kind: Segmentation
) -> None:
    regions = kind.regions(pixels(seed))
    values = generator(seed, "", "").normal(size=(32, 32))
    parts = [values[regions.labels == cell] for cell in range(regions.cells)]
    # float64 sums of at most 1024 numbers in another order
    np.testing.assert_allclose(regions.sums(values), [p.sum() for p in parts], rtol=0, atol=1e-12)
    np.testing.assert_allclose(regions.means(values), [p.mean() for p in parts], rtol=0, atol=1e-12)
    hidden = [0, regions.cells - 1]
    assert np.array_equal(regions.hiding(hidden), ~np.isin(regions.labels, hidden))
    assert regions.mean_side == pytest.approx(np.sqrt(1024 / regions.cells))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_a_grid_and_its_map_of_numbers_are_the_same_regions(h: int, w: int, side: int) -> None:
    grid = GridCells(h, w, min(side, h, w))
    segments = Segments.of(grid.labels)
    values = np.arange(h * w, dtype=np.float64).reshape(h, w)  # sums of integers are exact
    assert np.array_equal(segments.labels, grid.labels)
    assert np.array_equal(segments.areas, grid.areas)
    assert np.array_equal(segments.sums(values), grid.sums(values))
    assert np.array_equal(segments.means(values), grid.means(values))
    one = saliency_order(grid, values, generator(0, "", "ties"))
    other = saliency_order(segments, values, generator(0, "", "ties"))
    assert isinstance(one, np.ndarray) == isinstance(other, np.ndarray)
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        assert np.array_equal(one, other)


@given(st.integers(8, 60), st.integers(8, 60), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_slic_makes_no_more_segments_than_it_says(h: int, w: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    segments, compactness = int(rng.integers(2, h * w // 16 + 1)), 10.0 ** rng.uniform(0, 3)
    kind = Slic(segments=segments, compactness=float(compactness))
    kind.check(h, w)
    image = rng.random((3, h, w), np.float32)
    assert kind.regions(image).cells <= kind.most(h, w)


def test_segments_are_those_of_scikit_image_in_cielab() -> None:
    image = pixels(4)
    colours = image.transpose(1, 2, 0).astype(np.float64)
    made = slic(colours, 12, 100.0, sigma=0, start_label=0, convert2lab=True, channel_axis=-1)
    found = KINDS[1].regions(image).labels
    assert found.max() > 6
    assert len(set(zip(made.ravel().tolist(), found.ravel().tolist(), strict=True))) == 1 + max(
        made.max(), found.max()
    )
    made = quickshift(colours, 0.5, 2, 40, sigma=0, convert2lab=True, rng=0)
    found = KINDS[2].regions(image).labels
    assert len(set(zip(made.ravel().tolist(), found.ravel().tolist(), strict=True))) == 1 + max(
        made.max(), found.max()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_fixed_by_the_size_gives_every_image_the_same_regions(kind: Segmentation) -> None:
    one, other = (kind.regions(pixels(seed)) for seed in (1, 2))
    assert kind.is_fixed == np.array_equal(one.labels, other.labels)
    assert not kind.is_fixed or one.cells == other.cells == kind.most(32, 32)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_patches_hold_the_pixels_of_equal_quotients(h: int, w: int, side: int) -> None:
    regions = Patches(min(side, h, w)).regions(np.zeros((3, h, w), np.float32))
    rows, columns = np.indices((h, w)) // min(side, h, w)
    assert np.array_equal(regions.labels, rows * (columns.max() + 1) + columns)
    assert regions.areas.sum() == h * w


def test_patches_larger_than_the_input_are_refused() -> None:
    check_segmentation(Patches(24), 24, 32)
    with pytest.raises(InvalidArgumentError, match="at most 24") as caught:
        check_segmentation(Patches(25), 24, 32)
    assert caught.value.field == "regions.patches.side"


def test_pixels_and_small_patches_are_refused_where_holes_close_again() -> None:
    check_holes(Patches(7), 224, 224, Black())
    check_holes(Patches(8), 224, 224, Layer())
    with pytest.raises(InvalidArgumentError, match="at least 8") as caught:
        check_holes(Patches(7), 224, 224, Layer())
    assert caught.value.field == "regions.patches.side"
    with pytest.raises(InvalidArgumentError, match="choose patches") as caught:
        check_holes(Pixels(), 224, 224, Layer())
    assert caught.value.field == "regions.pixels"


@pytest.mark.parametrize("kind", [Slic(segments=4), Quickshift(kernel=2.0, distance=20.0)])
def test_segments_do_not_cross_sharp_edges_of_colour(kind: Segmentation) -> None:
    image = patches()
    quarters = GridCells(32, 32, 2).labels
    regions = kind.regions(image)
    for cell in range(regions.cells):
        assert len(np.unique(quarters[regions.labels == cell])) == 1


def test_an_image_is_split_once_and_another_one_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    actual = Slic.regions

    def counted(self: Slic, image: np.ndarray) -> object:
        drawn.append(self.segments)
        return actual(self, image)

    monkeypatch.setattr(Slic, "regions", counted)
    predictor = linear(np.full((3, 32, 32), 1e-3))
    image = np.random.default_rng(2026).random((3, 32, 32), np.float32)
    one, again = (sample_of(predictor, image).regions(Slic(segments=9)) for _ in range(2))
    assert one is again
    assert drawn == [9]
    sample_of(predictor, image).regions(Slic(segments=10))
    sample_of(predictor, 1 - image).regions(Slic(segments=9))
    assert drawn == [9, 10, 9]


@pytest.mark.parametrize(
    ("kind", "field", "way_out"),
    [
        (Grid(side=33), "regions.grid.side", "at most 32"),
        (Slic(segments=65), "regions.slic.segments", "at most 64"),
    ],
)
def test_regions_finer_than_the_input_are_refused_by_name(
    kind: Segmentation, field: str, way_out: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=way_out) as caught:
        check_segmentation(kind, 32, 32)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("kind", "field", "way_out"),
    [
        (Grid(side=15), "regions.grid.side", "vanish inside the network: at most 14"),
        (Slic(segments=197), "regions.slic.segments", "vanish inside the network: at most 196"),
    ],
)
def test_regions_that_layer_masking_loses_are_refused_with_the_way_out(
    kind: Segmentation, field: str, way_out: str
) -> None:
    check_segmentation(kind, 224, 224)
    check_segmentation(kind, 224, 224, hidden_by=Black())
    with pytest.raises(InvalidArgumentError, match=way_out) as caught:
        check_segmentation(kind, 224, 224, hidden_by=Layer())
    assert caught.value.field == field
    for fitting in (Grid(side=14), Slic(segments=196), Quickshift()):
        check_segmentation(fitting, 224, 224, hidden_by=Layer())
