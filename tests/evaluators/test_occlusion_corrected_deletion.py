from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.explainers import Centre, Random
from heatproof.evaluators.metrics import (
    Case,
    OcclusionCorrectedDeletion,
    OcclusionRobustness,
    Setting,
)
from heatproof.evaluators.metrics.occlusion_corrected_deletion import corrected
from heatproof.evaluators.outcomes import Outcome, RatioEstimator, Reason, Score, Undefined
from heatproof.evaluators.procedure import Answer, MaskedView, Picture, Prediction, Query
from heatproof.evaluators.removal import Black, Layer
from heatproof.evaluators.scene import Scene
from tests.evaluators.toys import SIDE, ToyPredictor, answer, ask, case_of, facts, linear, pixels

CELLS = 4
METRIC = OcclusionCorrectedDeletion(grid=CELLS, steps=8, orders=10)

CellScore = Callable[[np.ndarray], float]
"""Class probability of the visible cells, a boolean array of 4 x 4."""


def prediction(probability: float) -> Prediction:
    shares = np.array([probability, 1 - probability])
    return Prediction(np.log(shares + 1e-300).astype(np.float32), shares, 1.0)


def scored(
    score: CellScore,
    attribution: np.ndarray,
    metric: OcclusionCorrectedDeletion | OcclusionRobustness = METRIC,
    digest: str = "ab",
) -> Outcome:
    """Runs a metric on a model that is given by its score of visible cells, in float64."""

    def respond(query: Query) -> Answer:
        assert isinstance(query, MaskedView)
        assert query.mask is not None
        return prediction(score(query.mask[::8, ::8]))

    clean = prediction(score(np.ones((CELLS, CELLS), np.bool_)))
    picture = Picture.of(pixels())
    own = facts(classes=2)
    scene = Scene(own, picture, digest, 0, 0, clean, {})
    case = Case(scene, Setting(own, Black(), Centre()), attribution.astype(np.float64))
    return answer(metric.score(case), respond)


def additive(effects: np.ndarray, base: float = 0.1) -> CellScore:
    """Every visible cell adds its effect: order matters, interactions do not exist."""
    return lambda visible: base + float(effects[visible].sum())


def effects_of(seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).random((CELLS, CELLS)) ** 3
    spread: np.ndarray = drawn / drawn.sum() * 0.8
    return spread


def painted(cells: np.ndarray) -> np.ndarray:
    return np.kron(cells, np.ones((SIDE // CELLS, SIDE // CELLS)))


def number(score: Score) -> float:
    assert not isinstance(score, Undefined), score
    return score


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 999), st.floats(0.05, 1.0))
def test_bearing_occlusion_better_leaves_the_score_and_changes_the_ratio(
    seed: int, lam: float
) -> None:
    score = additive(effects_of(seed))
    attribution = np.random.default_rng(seed + 1).random((SIDE, SIDE))
    plain = scored(score, attribution)
    robust = scored(lambda visible: 1 - lam * (1 - score(visible)), attribution)
    if isinstance(robust.score, Undefined):
        assert robust.score.reason is Reason.NO_PLACE_EFFECT
        assert number(robust.parts["random_area"]) - number(robust.parts["oracle_area"]) <= 0.01
        return
    assert number(robust.score) == pytest.approx(number(plain.score), abs=1e-9)
    for control in ("control_uniform", "control_rolled"):
        assert number(robust.parts[control]) == pytest.approx(
            number(plain.parts[control]), abs=1e-9
        )
    if lam < 0.9 and abs(number(plain.parts["ratio"])) > 1e-3:
        assert abs(number(robust.parts["ratio"])) < abs(number(plain.parts["ratio"]))


@pytest.mark.parametrize("seed", range(5))
def test_a_map_of_the_models_own_single_cell_drops_scores_one(seed: int) -> None:
    effects = effects_of(seed)
    full = additive(effects)(np.ones((CELLS, CELLS), np.bool_))

    def drop(cell: int) -> float:
        visible = np.ones(CELLS * CELLS, np.bool_)
        visible[cell] = False
        return full - additive(effects)(visible.reshape(CELLS, CELLS))

    drops = np.array([drop(cell) for cell in range(CELLS * CELLS)]).reshape(CELLS, CELLS)
    assert scored(additive(effects), painted(drops)).score == 1
    assert number(scored(additive(effects), painted(-drops)).score) < 0


def test_ties_among_the_drops_do_not_part_map_and_oracle() -> None:
    effects = np.zeros((CELLS, CELLS))
    effects[1, 2] = 0.6
    assert scored(additive(effects), painted(effects)).score == 1


def test_a_place_blind_model_has_a_status_and_a_ratio_of_zero() -> None:
    outcome = scored(lambda visible: 0.2 + 0.7 * visible.mean(), pixels(3)[0].astype(np.float64))
    assert isinstance(outcome.score, Undefined)
    assert outcome.score.reason is Reason.NO_PLACE_EFFECT
    assert number(outcome.parts["ratio"]) == pytest.approx(0, abs=1e-12)
    assert isinstance(outcome.parts["control_uniform"], Undefined)
    assert isinstance(outcome.parts["control_rolled"], Undefined)


def test_a_constant_model_has_a_status() -> None:
    outcome = scored(lambda _: 0.5, pixels(3)[0].astype(np.float64))
    assert isinstance(outcome.score, Undefined)
    assert outcome.score.reason is Reason.NO_PLACE_EFFECT


def test_the_areas_are_those_of_curves_written_out() -> None:
    effects, attribution = effects_of(3), np.random.default_rng(9).random((CELLS, CELLS))
    score = additive(effects)
    outcome = scored(score, painted(attribution))
    full = score(np.ones((CELLS, CELLS), np.bool_))

    def area(order: np.ndarray) -> float:
        values = []
        for count in range(0, 17, 2):
            visible = np.ones(16, np.bool_)
            visible[order[:count]] = False
            values.append(score(visible.reshape(CELLS, CELLS)) / full)
        return sum((a + b) / 2 / 8 for a, b in pairwise(values))

    own = number(outcome.parts["deletion_area"])
    assert own == pytest.approx(area(np.argsort(-attribution.ravel())), abs=1e-12)
    oracle = number(outcome.parts["oracle_area"])
    assert oracle == pytest.approx(area(np.argsort(-effects.ravel())), abs=1e-12)
    robustness = number(outcome.parts["random_area"])
    assert number(outcome.score) == pytest.approx(
        (robustness - own) / (robustness - oracle), abs=1e-12
    )
    assert number(outcome.parts["ratio"]) == pytest.approx(1 - own / robustness, abs=1e-12)


def test_random_orders_average_to_what_an_additive_model_loses_at_random() -> None:
    # For an additive model the mean curve falls linearly from 1 to base / s(x).
    effects = effects_of(3)
    metric = OcclusionRobustness(grid=CELLS, steps=16, orders=150)
    outcome = scored(additive(effects), painted(effects), metric)
    assert number(outcome.score) == pytest.approx((1 + 0.1 / 0.9) / 2, abs=0.025)


def test_orders_are_the_same_for_both_metrics_and_all_maps() -> None:
    score = additive(effects_of(3))
    first = scored(score, pixels(1)[0].astype(np.float64))
    second = scored(score, pixels(2)[0].astype(np.float64))
    robustness = scored(score, pixels(1)[0], OcclusionRobustness(CELLS, 8, 10))
    assert first.parts["random_area"] == second.parts["random_area"] == robustness.score
    assert first.parts["oracle_area"] == second.parts["oracle_area"]
    assert first.parts["control_uniform"] == second.parts["control_uniform"]


def test_orders_differ_between_images() -> None:
    score = additive(effects_of(3))
    attribution = pixels(1)[0].astype(np.float64)
    one = scored(score, attribution, digest="aa")
    other = scored(score, attribution, digest="bb")
    assert one.parts["random_area"] != other.parts["random_area"]


def test_the_uniform_control_is_no_better_than_random_on_average() -> None:
    score, attribution = additive(effects_of(3)), pixels(1)[0].astype(np.float64)
    found = [
        number(scored(score, attribution, digest=str(index)).parts["control_uniform"])
        for index in range(25)
    ]
    # standard error about .07
    assert abs(np.mean(found)) < 0.2


def test_the_rolled_control_keeps_the_values_and_moves_all_of_them() -> None:
    # A single hot cell: rolled away, the first step removes a cell without effect.
    effects = np.zeros((CELLS, CELLS))
    effects[1, 1] = 0.8
    outcome = scored(additive(effects), painted(effects), OcclusionCorrectedDeletion(4, 16, 10))
    assert outcome.score == 1
    assert outcome.curves["rolled"].values[1] == 1
    assert number(outcome.parts["control_rolled"]) < 1


def test_an_unconfident_image_is_not_scored() -> None:
    outcome = scored(lambda visible: 0.0009 * visible.mean(), pixels(3)[0].astype(np.float64))
    assert isinstance(outcome.score, Undefined)
    assert outcome.score.reason is Reason.NO_CONFIDENCE


def test_a_constant_map_is_degenerate() -> None:
    outcome = scored(additive(effects_of(3)), np.ones((SIDE, SIDE)))
    assert isinstance(outcome.score, Undefined)
    assert outcome.score.reason is Reason.DEGENERATE


@pytest.mark.parametrize("effect", [0.01, 0.0, -0.5])
def test_the_smallest_effect_is_not_divided_by(effect: float) -> None:
    assert isinstance(corrected(effect, 0.0, 0.0), Undefined)
    assert corrected(0.011, 0.0, 0.0) == 1


def test_a_data_sets_score_is_the_ratio_of_mean_areas_and_not_the_mean_of_ratios() -> None:
    assert OcclusionCorrectedDeletion.estimator == RatioEstimator(
        ("random_area", "deletion_area"), ("random_area", "oracle_area"), 0.01
    )
    parts: Mapping[str, Score] = scored(additive(effects_of(3)), pixels(1)[0] * 1.0).parts
    for estimator in (
        OcclusionCorrectedDeletion.estimator,
        *OcclusionCorrectedDeletion.part_estimators.values(),
    ):
        assert isinstance(estimator, RatioEstimator)
        assert {name for name in estimator.numerator + estimator.denominator if name} <= set(parts)


def test_the_estimator_of_one_image_gives_that_images_score() -> None:
    outcome = scored(additive(effects_of(3)), pixels(1)[0].astype(np.float64))

    def of(estimator: RatioEstimator) -> float:
        a, b, c, d = (
            number(outcome.parts[name]) if name else 0.0
            for name in estimator.numerator + estimator.denominator
        )
        return (a - b) / (c - d)

    assert isinstance(OcclusionCorrectedDeletion.estimator, RatioEstimator)
    assert of(OcclusionCorrectedDeletion.estimator) == number(outcome.score)
    for name, estimator in OcclusionCorrectedDeletion.part_estimators.items():
        assert isinstance(estimator, RatioEstimator)
        assert of(estimator) == pytest.approx(number(outcome.parts[name]), abs=1e-12)


@pytest.mark.parametrize("metric", [METRIC, OcclusionRobustness(4, 8)])
def test_small_cells_are_refused_with_layer_masking_only(
    metric: OcclusionCorrectedDeletion | OcclusionRobustness,
) -> None:
    metric.check(Setting(facts(), Black(), None))
    with pytest.raises(InvalidArgumentError, match="at most 2") as caught:
        metric.check(Setting(facts(), Layer(), None))
    assert caught.value.field == "grid"
    type(metric)(grid=2, steps=4).check(Setting(facts(), Layer(), None))
    type(metric)(grid=14).check(Setting(facts(side=224), Layer(), None))


def test_what_is_predicted_is_what_is_asked_at_most() -> None:
    predictor = linear(np.random.default_rng(0).uniform(0, 6e-3, (3, SIDE, SIDE)))
    case = case_of(predictor, pixels(), pixels(4)[0], explainer=Random())
    asked: list[Query] = []

    def respond(query: Query) -> Answer:
        asked.append(query)
        return case.scene.clean

    answer(METRIC.score(case), respond)
    masks = {
        query.mask.tobytes()
        for query in asked
        if isinstance(query, MaskedView)
        if query.mask is not None
    }
    ends = 2  # the clean and the empty image
    assert len(masks) - ends <= METRIC.predictions(case.setting)


def test_models_that_never_fall_are_robust() -> None:
    predictor = ToyPredictor(lambda image: np.array([1.0, 0, 0]) + 0 * image.sum())
    outcome = ask(OcclusionRobustness(2, 4).score(case_of(predictor, pixels())), predictor)
    assert outcome.score == 1
