import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatproof.evaluators.explainers import IntegratedGradients
from heatproof.evaluators.metrics import Completeness
from heatproof.evaluators.metrics.functions.subsets import Output
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from heatproof.evaluators.removal import Black, Grey, Layer, RemovalOperator
from tests.evaluators.toys import (
    SIDE,
    ToyPredictor,
    ask,
    case_of,
    facts,
    linear,
    pixels,
    sample_of,
    softmax,
)

WEIGHTS = np.random.default_rng(11).uniform(-1e-3, 6e-3, (3, SIDE, SIDE))
IMAGE = pixels()
CONTRIBUTIONS = (WEIGHTS * IMAGE).sum(axis=0)
WHOLE = CONTRIBUTIONS.sum()


def scored(
    attribution: np.ndarray,
    metric: Completeness = Completeness(),  # noqa: B008  # a frozen value
    predictor: ToyPredictor | None = None,
    removal: RemovalOperator | None = None,
) -> Outcome:
    predictor = predictor or linear(WEIGHTS)
    return ask(metric.score(case_of(predictor, IMAGE, attribution, removal=removal)), predictor)


def test_integrated_gradients_of_a_linear_model_are_complete_for_their_baseline() -> None:
    predictor = linear(WEIGHTS)
    sample = sample_of(predictor, IMAGE)
    for baseline, other in ((Black(), Grey()), (Grey(), Black())):
        made = ask(IntegratedGradients(4, baseline).explain(sample), predictor)
        assert isinstance(made, np.ndarray)
        found = scored(made, removal=baseline)
        assert found.score == pytest.approx(0, abs=1e-5)  # float32 logits
        assert found.parts["complete"] == 1
        missed = scored(made, removal=other)
        assert missed.parts["complete"] == 0


@settings(max_examples=20, deadline=None)
@given(st.floats(-3, 3))
def test_a_scaled_map_is_as_far_from_complete_as_its_scale_from_one(scale: float) -> None:
    found = scored(scale * CONTRIBUTIONS + np.eye(SIDE) * 1e-9)
    assert found.score == pytest.approx(abs(scale - 1), abs=1e-5)
    assert found.parts["gap"] == pytest.approx((scale - 1) * WHOLE, abs=1e-4)


@pytest.mark.parametrize(("tolerance", "complete"), [(0.0, 0), (0.09, 0), (0.11, 1)])
def test_maps_are_complete_within_the_tolerance(tolerance: float, complete: float) -> None:
    found = scored(1.1 * CONTRIBUTIONS, Completeness(tolerance=tolerance))
    assert found.parts["complete"] == complete


def test_the_probability_may_be_what_adds_up() -> None:
    clean = softmax(np.array([WHOLE, 0, 0]))[0]
    difference = clean - 1 / 3
    found = scored(CONTRIBUTIONS, Completeness(Output.PROBABILITY))
    assert found.parts["gap"] == pytest.approx(WHOLE - difference, abs=1e-5)
    assert found.score == pytest.approx(abs(WHOLE - difference) / difference, abs=1e-4)


@pytest.mark.parametrize(("effect", "has_score"), [(0.9e-3, False), (1.1e-3, True)])
def test_a_model_that_misses_nothing_has_no_place_effect(effect: float, has_score: bool) -> None:
    predictor = ToyPredictor(lambda image: np.array([effect if image.any() else 0, -1, -1]))
    found = scored(CONTRIBUTIONS, predictor=predictor)
    assert isinstance(found.score, float) == has_score
    if isinstance(found.score, Undefined):
        assert found.score.reason is Reason.NO_PLACE_EFFECT
        assert found.parts["gap"] == pytest.approx(WHOLE - effect, abs=1e-6)


def test_a_constant_map_is_degenerate() -> None:
    found = scored(np.full((SIDE, SIDE), 0.3)).score
    assert isinstance(found, Undefined)
    assert found.reason is Reason.DEGENERATE


def test_it_costs_the_empty_image_alone_and_counts_it_where_nothing_reaches_the_end() -> None:
    predictor = linear(WEIGHTS, own=facts(batch_size=1))
    case = case_of(predictor, IMAGE, CONTRIBUTIONS, removal=Layer())
    before = len(predictor.batches)
    found = ask(Completeness().score(case), predictor)
    assert len(predictor.batches) - before == 1
    assert found.parts["n_zero_coverage"] == 1
    assert scored(CONTRIBUTIONS).parts["n_zero_coverage"] == 0
