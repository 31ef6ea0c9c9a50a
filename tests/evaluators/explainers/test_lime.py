"""LIME, against least squares written out and on models whose coefficients are known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.explainers import Lime
from heatproof.evaluators.explainers.perturbation.spread import Spread
from heatproof.evaluators.explainers.perturbation.surrogate import (
    Surrogate,
    likeness,
    ridge_regression,
    shown_at_random,
)
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.regions import Grid, Slic
from heatproof.evaluators.removal import Black, Grey, Layer
from tests.evaluators.toys import (
    SIDE,
    ToyPredictor,
    ask,
    bound,
    facts,
    linear,
    pixels,
    sample_of,
    softmax,
)

WEIGHTS = np.random.default_rng(0).uniform(-2e-3, 6e-3, (3, SIDE, SIDE))
SEGMENTS = Slic(segments=9, compactness=100.0)  # noise at less makes one segment
EFFECTS = np.random.default_rng(1).uniform(-0.02, 0.03, 16)


def additive() -> ToyPredictor:
    """The probability of class 0 is .4 and the effect of each of 16 cells that is not black."""

    def logits(image: np.ndarray) -> np.ndarray:
        seen = image.reshape(3, 4, 8, 4, 8).sum(axis=(0, 2, 4)).reshape(-1) > 0
        share = 0.4 + EFFECTS[seen].sum()
        return np.log([share, (1 - share) / 2, (1 - share) / 2])

    return ToyPredictor(logits)


def made(explainer: Lime, predictor: ToyPredictor, image: np.ndarray) -> np.ndarray:
    explainer.check(predictor.facts)
    found = ask(explainer.explain(sample_of(predictor, image)), predictor)
    assert not isinstance(found, Undefined)
    assert found.dtype == np.float64
    return found


@pytest.mark.parametrize("spread", Spread)
def test_the_effects_of_an_additive_model_are_found(spread: Spread) -> None:
    lime = Lime(Grid(4), samples=200, ridge=1e-9, removal=Black(), spread=spread)
    found = made(lime, additive(), pixels())
    cells = found.reshape(4, 8, 4, 8)
    if spread is Spread.DENSITY:
        effects = cells.sum(axis=(1, 3)).reshape(-1)
    else:
        effects = cells[:, 0, :, 0].reshape(-1)
        assert (cells == cells[:, :1, :, :1]).all()
    np.testing.assert_allclose(effects, EFFECTS, atol=2e-6)  # logits are float32


def test_the_map_is_that_of_least_squares_written_out() -> None:
    predictor, image = linear(WEIGHTS), pixels(5)
    lime = Lime(SEGMENTS, samples=40, width=0.4, ridge=0.3, removal=Grey())
    found = made(lime, predictor, image)
    sample = sample_of(predictor, image)
    labels = sample.regions(SEGMENTS).labels
    count, render = labels.max() + 1, bound(Grey(), image)
    assert count > 4
    draws = sample.rng("subsets/surrogate").random((40, count)) < 0.5
    draws[0] = True
    shares = []
    for row in draws:
        logits = predictor._logits(render(row[labels])).astype(np.float32)
        shares.append(softmax(logits)[0])
    # Weighted ridge with a free constant, as ordinary least squares over more rows.
    distances = 1 - np.array([np.sqrt(row.sum() / count) for row in draws])
    roots = np.sqrt(np.exp(-(distances**2) / (2 * 0.4**2)))
    design = np.hstack([draws.astype(np.float64), np.ones((40, 1))]) * roots[:, None]
    penalty = np.sqrt(0.3) * np.eye(count, count + 1)
    stacked = np.vstack([design, penalty])
    target = np.concatenate([np.array(shares) * roots, np.zeros(count)])
    beta = np.linalg.lstsq(stacked, target)[0][:count]
    areas = np.bincount(labels.ravel())
    np.testing.assert_allclose(found, (beta / areas)[labels], atol=1e-12)


@given(st.integers(1, 30), st.integers(0, 99), st.floats(0.1, 2))
def test_the_kernel_is_the_lime_packages(cells: int, seed: int, width: float) -> None:
    shown = np.random.default_rng(seed).random((8, cells)) < 0.5
    shown[0], shown[1] = True, False
    whole = np.ones(cells)
    for row, found in zip(shown, likeness(shown, width), strict=True):
        norms = np.linalg.norm(row) * np.linalg.norm(whole)
        distance = 1 - (row @ whole / norms if norms > 0 else 0.0)
        assert found == pytest.approx(np.sqrt(np.exp(-(distance**2) / width**2)), abs=1e-12)


@given(st.integers(0, 99))
def test_a_weight_of_two_is_a_sample_twice(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shown, values = rng.random((12, 4)) < 0.5, rng.random(12)
    weights = rng.integers(1, 4, 12)
    twice = ridge_regression(
        np.repeat(shown, weights, axis=0), np.repeat(values, weights), np.ones(weights.sum()), 0.5
    )
    once = ridge_regression(shown, values, weights.astype(np.float64), 0.5)
    np.testing.assert_allclose(once, twice, atol=1e-12)
    shifted = ridge_regression(shown, values + 7, weights.astype(np.float64), 0.5)
    np.testing.assert_allclose(shifted, once, atol=1e-12)


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 20), st.integers(2, 30))
def test_samples_are_shared_by_models_and_kept_when_there_are_more(cells: int, few: int) -> None:
    one = sample_of(linear(WEIGHTS), pixels())
    other = sample_of(linear(-WEIGHTS), pixels())
    shown = shown_at_random(one, cells, few)
    assert shown[0].all()
    assert np.array_equal(shown, shown_at_random(other, cells, few))
    assert np.array_equal(shown, shown_at_random(one, cells, few + 5)[:few])


def test_half_of_the_regions_are_shown() -> None:
    shown = shown_at_random(sample_of(linear(WEIGHTS), pixels()), 100, 1001)[1:]
    assert abs(shown.mean() - 0.5) < 5 * 0.5 / np.sqrt(1e5)
    assert (np.abs(shown.mean(axis=0) - 0.5) < 6 * 0.5 / np.sqrt(1e3)).all()


def test_a_fit_counts_samples_in_which_nothing_was_seen() -> None:
    predictor = linear(WEIGHTS)
    sample = sample_of(predictor, pixels())
    regions = Grid(2).regions(pixels())
    fit = ask(Surrogate(60, 0.25, 1.0).fit(sample, regions, Layer()), predictor)
    assert fit.zero_coverage == (~fit.shown.any(axis=1)).sum() > 0
    assert fit.coefficients.shape == (4,)


def test_answers_that_are_not_finite_give_a_map_that_is_not() -> None:
    def logits(image: np.ndarray) -> np.ndarray:
        return np.array([np.nan if image.min() == 0 else 1.0, 0, 0])

    found = made(Lime(Grid(2), samples=8, removal=Black()), ToyPredictor(logits), pixels())
    assert not np.isfinite(found).any()


def test_regions_finer_than_the_input_are_refused_by_their_path() -> None:
    with pytest.raises(InvalidArgumentError, match="at most 32") as caught:
        Lime(Grid(33)).check(facts())
    assert caught.value.field == "regions.grid.side"


def test_every_parameter_changes_the_map() -> None:
    predictor, image = linear(WEIGHTS), pixels()
    plain = Lime(SEGMENTS, samples=20)
    first = made(plain, predictor, image)
    for change in (
        {"regions": Grid(3)},
        {"samples": 21},
        {"width": 0.5},
        {"ridge": 2.0},
        {"removal": Black()},
        {"spread": Spread.COEFFICIENT},
    ):
        assert not np.array_equal(made(replace(plain, **change), predictor, image), first)
