import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.queries.seeds import generator
from heatproof.evaluators.regions.grid import GridCells, descending, ranks, saliency_order

grids = st.builds(
    lambda h, w, s: GridCells(h, w, min(s, h, w)),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 40),
)


def rng(purpose: str = "test") -> np.random.Generator:
    return generator(0, "ab", purpose)


@given(grids)
def test_cells_cover_every_pixel_once_and_differ_by_at_most_a_pixel(grid: GridCells) -> None:
    owners = grid.spread(np.arange(grid.cells))
    assert set(owners.ravel().tolist()) == set(range(grid.cells))
    for cell in range(grid.cells):
        rows, columns = np.nonzero(owners == cell)
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert len(rows) == height * width  # a rectangle
        assert height - grid.height // grid.side in {0, 1}
        assert width - grid.width // grid.side in {0, 1}


@given(grids)
def test_means_are_those_of_a_loop_over_the_pixels_of_each_cell(grid: GridCells) -> None:
    values = rng().normal(size=(grid.height, grid.width))
    owners = grid.spread(np.arange(grid.cells))
    looped = [values[owners == cell].mean() for cell in range(grid.cells)]
    # float64 sums of at most 1600 numbers in another order
    np.testing.assert_allclose(grid.means(values), looped, rtol=0, atol=1e-12)


def test_a_grid_as_fine_as_the_pixels_is_the_pixels() -> None:
    values = rng().normal(size=(6, 6))
    grid = GridCells(6, 6, 6)
    assert np.array_equal(grid.means(values), values.ravel())
    assert np.array_equal(grid.spread(values.ravel()), values)


def test_a_grid_finer_than_the_pixels_is_refused_by_name() -> None:
    with pytest.raises(InvalidArgumentError, match="at most 5") as caught:
        GridCells(8, 5, 6).check()
    assert caught.value.field == "grid"


@given(st.integers(1, 30), st.integers(0, 9))
def test_ranks_invert_an_order(count: int, seed: int) -> None:
    order = generator(seed, "", "").permutation(count)
    assert np.array_equal(order[ranks(order)], np.arange(count))


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30), st.integers(0, 9))
def test_orders_descend_and_the_reverse_ascends(values: list[int], seed: int) -> None:
    numbers = np.array(values, np.float64)
    order = descending(numbers, generator(seed, "", ""))
    assert sorted(order.tolist()) == list(range(len(values)))
    assert (np.diff(numbers[order]) <= 0).all()
    assert (np.diff(numbers[order[::-1]]) >= 0).all()


def test_ties_fall_anew_for_every_image_but_not_for_every_call() -> None:
    tied = np.zeros(40)
    first = descending(tied, generator(0, "a", "ties"))
    assert np.array_equal(first, descending(tied, generator(0, "a", "ties")))
    assert not np.array_equal(first, descending(tied, generator(0, "b", "ties")))
    assert not np.array_equal(first, np.arange(40))  # not the order of the pixels either


def test_rounding_of_equal_cells_does_not_order_them() -> None:
    values = np.array([0.3, 0.1, 0.3, 0.7, 0.3, 0.1])
    noise = 1 + np.array([3, -2, 0, 1, -3, 2]) * np.finfo(np.float64).eps
    found = set()
    for index in range(30):
        order = descending(values, generator(0, str(index), "ties"))
        assert np.array_equal(order, descending(values * noise, generator(0, str(index), "ties")))
        found.add(tuple(order.tolist()))
    assert len(found) > 6  # ties do fall differently


@given(st.integers(-1000, 1000), st.integers(0, 9))
def test_values_a_millionth_of_the_largest_apart_are_ordered(exponent: int, seed: int) -> None:
    scale = 2.0 ** (exponent / 1.01)
    values = np.array([1.0, 1 - 1e-6, 0.5, 0.5 - 1e-6, -1 + 1e-6, -1.0]) * scale
    shuffle = generator(seed, "", "").permutation(6)
    order = descending(values[shuffle], generator(seed, "", "ties"))
    assert np.array_equal(shuffle[order], np.arange(6))


def test_a_map_that_differs_by_rounding_alone_is_degenerate() -> None:
    noise = generator(0, "", "").integers(-4, 5, (8, 8)) * np.finfo(np.float64).eps
    found = saliency_order(GridCells(8, 8, 4), 0.7 + noise, rng())
    assert isinstance(found, Undefined)
    assert found.reason is Reason.DEGENERATE


def test_ties_are_fair_to_every_cell() -> None:
    firsts = [descending(np.zeros(4), generator(0, str(i), "ties"))[0] for i in range(2000)]
    counts = np.bincount(firsts, minlength=4)
    # 500 expected with a standard deviation of 19
    assert (np.abs(counts - 500) < 100).all()


@pytest.mark.parametrize("value", [0.0, 1.5, -2.0])
def test_a_constant_map_is_degenerate(value: float) -> None:
    found = saliency_order(GridCells(8, 8, 4), np.full((8, 8), value), rng())
    assert isinstance(found, Undefined)
    assert found.reason is Reason.DEGENERATE


def test_a_map_whose_cells_all_mean_the_same_is_degenerate() -> None:
    checkered = np.indices((8, 8)).sum(axis=0) % 2
    found = saliency_order(GridCells(8, 8, 4), checkered.astype(np.float64), rng())
    assert isinstance(found, Undefined)


def test_large_cells_do_not_come_first_for_their_size() -> None:
    grid = GridCells(7, 7, 2)  # cells of 3 and of 4 pixels
    values = grid.spread(np.array([1.01, 1.0, 1.0, 1.0]))
    order = saliency_order(grid, values, rng())
    assert not isinstance(order, Undefined)
    assert order[0] == 0  # the smallest cell, but the most salient one by pixels
