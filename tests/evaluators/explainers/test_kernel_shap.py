"""KernelSHAP, against Shapley values summed over all orders of the regions."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from math import comb, factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.explainers import KernelShap
from heatproof.evaluators.explainers.perturbation.coalitions import Coalitions, shapley_weight
from heatproof.evaluators.explainers.perturbation.spread import Spread
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.regions import Grid, Quickshift, Slic
from heatproof.evaluators.removal import Black, Grey, Layer, White
from tests.evaluators.toys import SIDE, ToyPredictor, ask, facts, linear, pixels, sample_of

WEIGHTS = np.random.default_rng(0).uniform(-2e-3, 6e-3, (3, SIDE, SIDE))
SAMPLE = sample_of(linear(WEIGHTS), pixels())
Game = Callable[[frozenset[int]], float]


def game_of(cells: int, seed: int) -> Game:
    """A value of each set of regions that no formula gives."""
    values = np.random.default_rng(seed).normal(size=2**cells)
    return lambda shown: float(values[sum(1 << cell for cell in shown)])


def exact(game: Game, cells: int) -> np.ndarray:
    """`sum over S without i of |S|! (n - |S| - 1)! / n! (v(S and i) - v(S))`."""
    shapley = np.zeros(cells)
    for cell in range(cells):
        others = [other for other in range(cells) if other != cell]
        for size in range(cells):
            share = factorial(size) * factorial(cells - size - 1) / factorial(cells)
            for chosen in combinations(others, size):
                own = frozenset(chosen)
                shapley[cell] += share * (game(own | {cell}) - game(own))
    return shapley


def fitted(game: Game, coalitions: Coalitions) -> np.ndarray:
    cells = coalitions.shown.shape[1]
    gains = [
        game(frozenset(map(int, np.flatnonzero(row)))) - game(frozenset())
        for row in coalitions.shown
    ]
    whole = game(frozenset(range(cells))) - game(frozenset())
    return coalitions.shapley_values(np.array(gains, np.float64), whole)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(0, 999))
def test_up_to_nine_regions_give_the_exact_values(cells: int, seed: int) -> None:
    game = game_of(cells, seed)
    coalitions = Coalitions.of(SAMPLE, cells, 512)
    assert len(coalitions.shown) == 2**cells - 2
    np.testing.assert_allclose(fitted(game, coalitions), exact(game, cells), atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(3, 12), st.integers(4, 60), st.integers(0, 999))
def test_values_always_sum_to_what_all_regions_add(cells: int, most: int, seed: int) -> None:
    game = game_of(cells, seed)
    values = fitted(game, Coalitions.of(SAMPLE, cells, most))
    whole = game(frozenset(range(cells))) - game(frozenset())
    assert values.sum() == pytest.approx(whole, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(10, 30), st.integers(0, 999))
def test_an_additive_game_is_found_from_drawn_coalitions(cells: int, seed: int) -> None:
    effects = np.random.default_rng(seed).normal(size=cells)
    coalitions = Coalitions.of(SAMPLE, cells, 512)
    values = coalitions.shapley_values(coalitions.shown @ effects, float(effects.sum()))
    np.testing.assert_allclose(values, effects, atol=1e-9)


def test_drawn_coalitions_come_in_pairs_and_are_kept_when_there_are_more() -> None:
    shown = Coalitions.of(SAMPLE, 20, 101).shown
    assert len(shown) == 100
    assert np.array_equal(shown[::2], ~shown[1::2])
    sizes = shown.sum(axis=1)
    assert sizes.min() >= 1
    assert sizes.max() <= 19
    assert np.array_equal(Coalitions.of(SAMPLE, 20, 300).shown[:100], shown)
    other = sample_of(linear(-WEIGHTS), pixels())
    assert np.array_equal(Coalitions.of(other, 20, 101).shown, shown)


def test_sizes_are_drawn_by_what_all_coalitions_of_one_weigh() -> None:
    sizes = Coalitions.of(SAMPLE, 16, 20_000).shown.sum(axis=1)
    weights = np.array([comb(16, k) * shapley_weight(16, k) for k in range(1, 16)])
    expected = weights / weights.sum()
    found = np.bincount(sizes, minlength=16)[1:16] / len(sizes)
    # Pairs are drawn, so half as many draws are independent.
    tolerance = 5 * np.sqrt(expected * (1 - expected) / 10_000)
    assert (np.abs(found - expected) < tolerance).all()


def test_drawn_values_are_near_the_exact_ones() -> None:
    effects = np.random.default_rng(3).normal(size=10)

    def game(shown: frozenset[int]) -> float:
        return float(np.tanh(sum(effects[cell] for cell in shown)))

    found, expected = fitted(game, Coalitions.of(SAMPLE, 10, 600)), exact(game, 10)
    assert np.abs(expected - effects).max() > 0.3  # it is not additive
    np.testing.assert_allclose(found, expected, atol=0.05)


def made(explainer: KernelShap, predictor: ToyPredictor, image: np.ndarray) -> np.ndarray:
    explainer.check(predictor.facts)
    found = ask(explainer.explain(sample_of(predictor, image)), predictor)
    assert not isinstance(found, Undefined)
    assert found.dtype == np.float64
    return found


@pytest.mark.parametrize("removal", [Black(), White()])
@pytest.mark.parametrize("spread", Spread)
def test_the_map_holds_the_values_of_its_regions(removal: Black | White, spread: Spread) -> None:
    predictor, image = linear(WEIGHTS), pixels()
    explainer = KernelShap(Grid(2), removal=removal, spread=spread)
    found = made(explainer, predictor, image)
    half = SIDE // 2

    def probability(shown: frozenset[int]) -> float:
        picture = np.full_like(image, 1.0 if isinstance(removal, White) else 0.0)
        for cell in shown:
            place = np.s_[:, half * (cell // 2) :, half * (cell % 2) :]
            picture[place][:, :half, :half] = image[place][:, :half, :half]
        logits = predictor._logits(picture).astype(np.float32).astype(np.float64)
        return float(np.exp(logits[0]) / np.exp(logits).sum())

    expected = exact(probability, 4) / (half**2 if spread is Spread.DENSITY else 1)
    cells = found[::half, ::half].reshape(-1)
    np.testing.assert_allclose(cells, expected, atol=1e-9)
    assert np.array_equal(found, np.kron(cells.reshape(2, 2), np.ones((half, half))))


@pytest.mark.parametrize("regions", [Slic(9, 100.0), Quickshift(kernel=2.0)])
def test_densities_sum_to_what_the_image_adds(regions: Slic | Quickshift) -> None:
    image = pixels(low=0.0)
    image[:, :, :16] *= np.float32(0.1)  # two colours, so that few segments are made
    predictor = linear(WEIGHTS)
    sample = sample_of(predictor, image)
    found = ask(KernelShap(regions, samples=4000).explain(sample), predictor)
    assert not isinstance(found, Undefined)
    empty = sample_of(
        predictor,
        np.full_like(image, 0) + np.array([0.485, 0.456, 0.406], np.float32)[:, None, None],
    )
    expected = sample.confidence - float(empty.probability(empty.clean))
    assert found.sum() == pytest.approx(expected, abs=1e-6)


def test_layer_masking_hides_regions_too() -> None:
    predictor, image = linear(WEIGHTS), pixels()
    found = made(KernelShap(Grid(2), removal=Layer()), predictor, image)
    # the toy's masked form paints black
    np.testing.assert_array_equal(
        found, made(KernelShap(Grid(2), removal=Black()), predictor, image)
    )


def test_as_many_rows_are_asked_as_announced() -> None:
    predictor = linear(WEIGHTS)
    explainer = KernelShap(Grid(7), samples=100)
    sample = sample_of(predictor, pixels())
    predictor.batches.clear()
    ask(explainer.explain(sample), predictor)
    assert explainer.cost(predictor.facts) == 101
    assert len(predictor.batches) == 26  # of four rows: 101 views


def test_regions_that_coalitions_cannot_tell_apart_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="at most 2") as caught:
        KernelShap(Grid(7), samples=8).check(facts())
    assert caught.value.field == "regions.grid.side"
    predictor = linear(WEIGHTS)
    found = ask(
        KernelShap(Quickshift(kernel=1.0), samples=8).explain(
            sample_of(predictor, pixels(low=0.0))
        ),
        predictor,
    )
    assert isinstance(found, Undefined)
    assert found.reason is Reason.TOO_FINE
    with pytest.raises(InvalidArgumentError, match="at most 32"):
        KernelShap(Grid(33)).check(facts())


def test_answers_that_are_not_finite_give_a_map_that_is_not() -> None:
    def logits(image: np.ndarray) -> np.ndarray:
        return np.array([np.nan if image.min() == 0 else 1.0, 0, 0])

    found = made(KernelShap(Grid(2), removal=Black()), ToyPredictor(logits), pixels())
    assert np.isnan(found).all()


def test_every_parameter_changes_the_map() -> None:
    predictor, image = linear(WEIGHTS), pixels()
    plain = KernelShap(Grid(5), samples=100)
    first = made(plain, predictor, image)
    for change in (
        {"regions": Grid(3)},
        {"samples": 60},
        {"removal": Black()},
        {"spread": Spread.COEFFICIENT},
    ):
        assert not np.array_equal(made(replace(plain, **change), predictor, image), first)
    assert plain.removal == Grey()
