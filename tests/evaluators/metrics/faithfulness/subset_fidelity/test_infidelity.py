import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.metrics import Infidelity
from heatproof.evaluators.metrics.functions.subsets import Output, squares
from heatproof.evaluators.outcomes import Reason
from heatproof.evaluators.removal import Black
from tests.evaluators.metrics.faithfulness.subset_fidelity.additive import (
    MADE,
    WEIGHTS,
    cells,
    drop,
    effects,
    reason,
    scored,
)
from tests.evaluators.toys import SIDE, ToyPredictor, case_of, facts, linear, pixels, planned

METRIC = Infidelity(grid=8, subsets=25)


def masks() -> list[np.ndarray]:
    """The squares, drawn again by hand."""
    sample, numbers, found = case_of(linear(WEIGHTS), pixels(), MADE).sample, cells(8), []
    for index in range(25):
        rng = sample.rng(f"subsets/squares/8/{index}")
        side = rng.integers(1, 5)
        top, left = rng.integers(0, 8 - side + 1, size=2)
        rows, columns = numbers // 8, numbers % 8
        found.append(
            (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)
        )
    return found


def test_the_score_is_the_error_of_the_best_multiple_over_the_effects() -> None:
    a = np.array([MADE[mask].sum() for mask in masks()])
    d = np.array([drop(mask, logit=True) for mask in masks()])
    beta = (a @ d) / (a @ a)
    found = scored(METRIC, MADE)
    assert found.score == pytest.approx(((beta * a - d) ** 2).mean() / (d**2).mean(), abs=1e-9)
    cosine = (a @ d) / math.sqrt((a @ a) * (d @ d))
    assert found.score == pytest.approx(1 - cosine**2, abs=1e-9)
    assert found.parts["beta"] == pytest.approx(beta, rel=1e-9)
    assert found.parts["raw"] == pytest.approx(((a - d) ** 2).mean(), rel=1e-9)


def test_the_effects_of_an_additive_model_have_none_and_their_negative_a_negative_beta() -> None:
    made = effects(pixels())
    for sign in (1.0, -1.0):
        found = scored(METRIC, sign * made)
        assert found.score == pytest.approx(0, abs=1e-9)
        assert found.parts["beta"] == pytest.approx(sign, rel=1e-5)
    assert scored(METRIC, made).parts["raw"] == pytest.approx(0, abs=1e-9)


@settings(max_examples=5, deadline=None)
@given(st.floats(0.01, 100).flatmap(lambda size: st.sampled_from([size, -size])))
def test_the_unit_of_the_map_changes_beta_and_nothing_else(scale: float) -> None:
    base, other = scored(METRIC, MADE), scored(METRIC, scale * MADE)
    assert other.score == pytest.approx(base.score, abs=1e-9)
    assert isinstance(base.parts["beta"], float)
    assert other.parts["beta"] == pytest.approx(base.parts["beta"] / scale, rel=1e-9)


def test_sides_reach_from_one_cell_to_half_of_them_and_places_over_the_image() -> None:
    sample = case_of(linear(WEIGHTS), pixels(), MADE).sample
    drawn = [square.reshape(8, 8) for square in squares(sample, 8, 400)]
    sides = {int(square.any(axis=0).sum()) for square in drawn}
    assert sides == {1, 2, 3, 4}
    assert all(square.sum() == square.any(axis=0).sum() ** 2 for square in drawn)
    assert np.logical_or.reduce(drawn).all()
    few = list(squares(sample, 8, 5))
    assert all(np.array_equal(one.reshape(8, 8), two) for one, two in zip(few, drawn, strict=False))


def test_a_map_of_zeros_is_1_and_a_blind_or_sick_model_has_a_status() -> None:
    nothing = scored(METRIC, np.zeros((SIDE, SIDE)))
    assert (nothing.score, nothing.parts["beta"]) == (1.0, 0.0)
    assert isinstance(scored(METRIC, np.full((SIDE, SIDE), 0.3)).score, float)
    blind = ToyPredictor(lambda image: np.array([3.0, 0, 0]) + 0 * image.sum())
    assert reason(scored(METRIC, MADE, predictor=blind)) is Reason.NO_PLACE_EFFECT
    sick = ToyPredictor(lambda image: np.array([3.0 if image.min() > 0 else math.nan, 0, 0]))
    assert reason(scored(METRIC, MADE, predictor=sick)) is Reason.NOT_FINITE


def test_the_probability_can_be_read_instead_and_fine_cells_are_refused() -> None:
    made = effects(pixels())
    found = scored(Infidelity(grid=8, subsets=25, output=Output.PROBABILITY), made).score
    assert isinstance(found, float)
    assert 1e-6 < found < 0.5
    with pytest.raises(InvalidArgumentError) as caught:
        Infidelity(grid=33).check(planned(facts(), Black()))
    assert caught.value.field == "grid"
