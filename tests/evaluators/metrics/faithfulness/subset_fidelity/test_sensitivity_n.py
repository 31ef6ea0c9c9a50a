import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.metrics import SensitivityN
from heatproof.evaluators.metrics.functions.subsets import Output
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from heatproof.evaluators.regions import Grid
from heatproof.evaluators.regions.grid import GridCells
from heatproof.evaluators.removal import Black
from tests.evaluators.toys import (
    SIDE,
    ToyPredictor,
    ask,
    bound,
    case_of,
    facts,
    linear,
    pixels,
    planned,
)

WEIGHTS = np.random.default_rng(0).uniform(0, 6e-3, (3, SIDE, SIDE))
METRIC = SensitivityN(regions=Grid(8), sizes=(0.05, 0.2, 0.6), subsets=12)


def effects(image: np.ndarray) -> np.ndarray:
    """What each pixel of a linear model adds to its logit over black."""
    summed: np.ndarray = (WEIGHTS * image.astype(np.float64)).sum(axis=0)
    return summed


def scored(attribution: np.ndarray, metric: SensitivityN = METRIC) -> Outcome:
    predictor = linear(WEIGHTS)
    return ask(metric.score(case_of(predictor, pixels(), attribution)), predictor)


def test_the_effects_of_an_additive_model_correlate_wholly_and_their_negative_not_at_all() -> None:
    made = effects(pixels())
    # Logits are float32 of some units, drops some hundredths.
    assert scored(made).score == pytest.approx(1, abs=1e-6)
    assert scored(-made).score == pytest.approx(-1, abs=1e-6)


@settings(max_examples=10, deadline=None)
@given(st.floats(0.1, 9), st.floats(-3, 3))
def test_scale_and_shift_of_equal_cells_change_nothing(scale: float, shift: float) -> None:
    made = pixels(3)[0].astype(np.float64)
    base, other = scored(made).score, scored(scale * made + shift).score
    assert isinstance(base, float)
    assert other == pytest.approx(base, abs=1e-9)


def test_the_score_is_the_mean_over_sizes_of_correlations_written_out() -> None:
    predictor, image = linear(WEIGHTS), pixels()
    made = pixels(3)[0].astype(np.float64)
    case = case_of(predictor, image, made)
    outcome = ask(METRIC.score(case), predictor)
    grid, render, found = GridCells(SIDE, SIDE, 8), bound(Black(), image), []
    cells = made.reshape(8, 4, 8, 4).sum(axis=(1, 3)).reshape(-1)
    clean = np.float32(predictor._logits(image)[0])
    for size in METRIC.sizes:
        count = round(size * 64)
        sums, drops = [], []
        for index in range(METRIC.subsets):
            rng = case.sample.rng(f"subsets/{count}/{index}")
            chosen = rng.choice(64, count, replace=False)
            hidden = np.isin(np.arange(64), chosen)
            logit = np.float32(predictor._logits(render(grid.spread(~hidden)))[0])
            sums.append(cells[chosen].sum())
            drops.append(float(clean) - float(logit))
        found.append(np.corrcoef(sums, drops)[0, 1])
    assert outcome.curves["correlation"].values == pytest.approx(found, abs=1e-9)
    assert outcome.score == pytest.approx(np.mean(found), abs=1e-9)


def test_more_subsets_keep_those_that_were_drawn() -> None:
    case, cells = case_of(linear(WEIGHTS), pixels(), pixels(3)[0]), Grid(8)
    split = cells.regions(pixels())
    few, many = (
        list(SensitivityN(regions=cells, sizes=(0.2,), subsets=count).chosen(case, split))
        for count in (8, 20)
    )
    assert np.array_equal(few, many[:8])


def test_a_constant_map_is_degenerate_and_a_model_without_places_has_no_effect() -> None:
    flat = scored(np.full((SIDE, SIDE), 0.25)).score
    assert isinstance(flat, Undefined)
    assert flat.reason is Reason.DEGENERATE
    counting = ToyPredictor(lambda image: np.array([3.0, 0, 0]) + 0 * image.sum())
    found = ask(METRIC.score(case_of(counting, pixels(), pixels(1)[0])), counting).score
    assert isinstance(found, Undefined)
    assert found.reason is Reason.NO_PLACE_EFFECT


def test_the_probability_can_be_read_instead() -> None:
    made = effects(pixels())
    metric = SensitivityN(regions=Grid(8), sizes=(0.2,), subsets=20, output=Output.PROBABILITY)
    score = scored(made, metric).score
    assert isinstance(score, float)
    assert 0.9 < score < 1 - 1e-6


def test_no_size_and_a_fine_grid_are_refused_at_their_field() -> None:
    fine = SensitivityN(regions=Grid(33))
    for metric, field in ((SensitivityN(sizes=()), "sizes"), (fine, "regions.grid.side")):
        with pytest.raises(InvalidArgumentError) as caught:
            metric.check(planned(facts(), Black()))
        assert caught.value.field == field
