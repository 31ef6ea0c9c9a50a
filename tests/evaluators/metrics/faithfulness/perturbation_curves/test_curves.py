from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.metrics import Deletion, Insertion
from heatproof.evaluators.metrics.functions.curves import (
    CurveScale,
    PerturbationCurve,
    Schedule,
    check_grid,
    deletion_curve,
    insertion_curve,
)
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.queries.targets import FixedClass
from heatproof.evaluators.regions.grid import GridCells
from heatproof.evaluators.removal import Black, Blur, Layer, RemovalOperator, White
from tests.evaluators.toys import (
    SIDE,
    ToyPredictor,
    ask,
    bound,
    case_of,
    linear,
    pixels,
    sample_of,
    softmax,
)

GRID = GridCells(SIDE, SIDE, 4)


def weighted(seed: int = 0) -> np.ndarray:
    """Weights that leave the class probability well inside (0, 1)."""
    return np.random.default_rng(seed).uniform(0, 6e-3, (3, SIDE, SIDE))


def replayed(
    predictor: ToyPredictor,
    image: np.ndarray,
    order: np.ndarray,
    counts: list[int],
    *,
    adding: bool = False,
) -> list[float]:
    """Black removal, one image at a time, without any of the engine."""
    values = []
    for count in counts:
        hidden = set(order[count:].tolist() if adding else order[:count].tolist())
        shown = image.copy()
        for cell in hidden:
            row, column = divmod(cell, 4)
            shown[:, row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] = 0
        logits = predictor._logits(shown).astype(np.float32)
        values.append(softmax(logits)[0])
    return values


@pytest.mark.parametrize("steps", [1, 3, 7, 16])
@pytest.mark.parametrize("adding", [False, True])
def test_curves_are_those_of_removing_cells_one_image_at_a_time(steps: int, adding: bool) -> None:
    predictor, image = linear(weighted()), pixels()
    sample = sample_of(predictor, image)
    order = np.random.default_rng(1).permutation(16)
    draw = insertion_curve if adding else deletion_curve
    trace = ask(draw(sample, Schedule.even(GRID, steps, Black()), order), predictor)
    counts = [index * 16 // steps for index in range(steps + 1)]
    assert trace.fractions.tolist() == [count / 16 for count in counts]
    expected = replayed(predictor, image, order, counts, adding=adding)
    # equal float32 logits; the softmax sums in another order
    np.testing.assert_allclose(trace.values, expected, rtol=1e-14)


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=20),
)
def test_the_area_is_the_trapezoid_written_out(values: list[float]) -> None:
    fractions = np.linspace(0, 1, len(values))
    widths = np.diff(fractions)
    heights = [(a + b) / 2 for a, b in pairwise(values)]
    area = PerturbationCurve(fractions, np.array(values), 0).area
    assert area == pytest.approx(float(np.dot(widths, heights)), abs=1e-14)


def test_insertion_of_the_reverse_mirrors_deletion() -> None:
    # Both walk through the same images from the other end.
    predictor = linear(weighted())
    sample = sample_of(predictor, pixels())
    order = np.random.default_rng(3).permutation(16)
    schedule = Schedule.even(GRID, 16, Black())
    removed = ask(deletion_curve(sample, schedule, order), predictor)
    added = ask(insertion_curve(sample, schedule, order[::-1].copy()), predictor)
    assert np.array_equal(removed.values, added.values[::-1])


def test_deleting_what_a_linear_model_weighs_most_is_better_than_any_other_order() -> None:
    weights = weighted()
    predictor, image = linear(weights), pixels()
    contribution = (weights * image).sum(axis=0)
    best = ask(Deletion(4, 16).score(case_of(predictor, image, contribution)), predictor)
    worst = ask(Deletion(4, 16).score(case_of(predictor, image, -contribution)), predictor)
    assert isinstance(best.score, float)
    assert isinstance(worst.score, float)
    for seed in range(20):
        other = np.random.default_rng(seed).random((SIDE, SIDE))
        outcome = ask(Deletion(4, 16).score(case_of(predictor, image, other)), predictor)
        assert isinstance(outcome.score, float)
        assert best.score < outcome.score < worst.score


@pytest.mark.parametrize("removal", [Black(), White(), Blur(sigma=1.0), Layer()])
def test_curves_end_at_the_clean_and_the_empty_image(removal: RemovalOperator) -> None:
    predictor, image = linear(weighted()), pixels()
    case = case_of(predictor, image, pixels(5)[0], removal=removal)
    removed = ask(Deletion(4, 8).score(case), predictor).curves["deletion"].values
    added = ask(Insertion(4, 8).score(case), predictor).curves["insertion"].values
    assert removed[0] == added[-1] == case.sample.confidence
    assert removed[-1] == added[0]
    hidden = np.zeros((SIDE, SIDE), np.bool_)
    empty = np.zeros_like(image) if isinstance(removal, Layer) else bound(removal, image)(hidden)
    logits = predictor._logits(empty).astype(np.float32)
    assert removed[-1] == pytest.approx(softmax(logits)[0], rel=1e-14)


def test_a_model_of_a_single_pixel_drops_when_its_cell_goes() -> None:
    predictor = ToyPredictor(lambda image: np.array([8 * image[0, 9, 17], 0, 0]))
    image = np.full((3, SIDE, SIDE), 1, np.float32)
    spot = np.zeros((SIDE, SIDE))
    spot[9, 17] = 1
    outcome = ask(Deletion(4, 16).score(case_of(predictor, image, spot)), predictor)
    sure, blank = softmax(np.array([8.0, 0, 0]))[0], 1 / 3
    assert outcome.curves["deletion"].values[0] == pytest.approx(sure)
    assert outcome.curves["deletion"].values[1:] == pytest.approx([blank] * 16)
    # the trapezoid of one fall in the first of 16 steps
    assert outcome.score == pytest.approx(blank + (sure - blank) / 32)


def test_relative_curves_start_at_one() -> None:
    predictor = linear(weighted())
    case = case_of(predictor, pixels(), pixels(5)[0])
    plain = ask(Deletion(4, 8).score(case), predictor)
    relative = ask(Deletion(4, 8, CurveScale.RELATIVE).score(case), predictor)
    assert relative.curves["deletion"].values[0] == 1
    assert isinstance(plain.score, float)
    assert relative.score == pytest.approx(plain.score / case.sample.confidence, rel=1e-14)


def test_relative_curves_of_an_unconfident_image_have_a_status() -> None:
    predictor = ToyPredictor(lambda image: np.array([-20 + image.sum() * 0, 0, 0]))
    case = case_of(predictor, pixels(), pixels(5)[0])
    object.__setattr__(case.sample, "target", FixedClass(0))
    outcome = ask(Deletion(4, 8, CurveScale.RELATIVE).score(case), predictor)
    assert isinstance(outcome.score, Undefined)
    assert outcome.score.reason is Reason.NO_CONFIDENCE
    assert isinstance(ask(Deletion(4, 8).score(case), predictor).score, float)


def test_points_at_which_a_masked_network_sees_nothing_are_scored_and_counted() -> None:
    predictor = linear(weighted())
    case = case_of(predictor, pixels(), pixels(5)[0], removal=Layer())
    outcome = ask(Deletion(4, 8).score(case), predictor)
    assert outcome.parts["n_zero_coverage"] == 1  # the last point
    assert outcome.curves["deletion"].values[-1] == pytest.approx(1 / 3)
    black = ask(Deletion(4, 8).score(case_of(predictor, pixels(), pixels(5)[0])), predictor)
    assert black.parts["n_zero_coverage"] == 0


@pytest.mark.parametrize("metric", [Deletion(4, 8), Insertion(4, 8)])
def test_a_constant_map_has_no_score_and_costs_nothing(metric: Deletion | Insertion) -> None:
    predictor = linear(weighted())
    case = case_of(predictor, pixels(), np.ones((SIDE, SIDE)))
    batches = len(predictor.batches)
    outcome = ask(metric.score(case), predictor)
    assert isinstance(outcome.score, Undefined)
    assert outcome.score.reason is Reason.DEGENERATE
    assert len(predictor.batches) == batches


def test_scores_depend_on_the_order_of_a_map_alone() -> None:
    predictor, image = linear(weighted()), pixels()
    attribution = np.random.default_rng(2).random((SIDE, SIDE))
    first = ask(Deletion(4, 8).score(case_of(predictor, image, attribution)), predictor)
    scaled = ask(Deletion(4, 8).score(case_of(predictor, image, 100 * attribution - 3)), predictor)
    assert first == scaled


def test_more_steps_than_cells_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="16 cells") as caught:
        check_grid(GRID, 17)
    assert caught.value.field == "steps"
