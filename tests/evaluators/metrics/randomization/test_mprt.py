import numpy as np
import pytest
from scipy.stats import spearmanr

from heatproof.evaluators.errors import UnsupportedOperatorError
from heatproof.evaluators.explainers import Centre, Explainer, Saliency
from heatproof.evaluators.metrics import Mprt
from heatproof.evaluators.metrics.functions.similarities import Similarity
from heatproof.evaluators.metrics.randomization.model_randomization import LayerOrder
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from heatproof.evaluators.queries.passes import Weights
from tests.evaluators.toys import (
    SIDE,
    ToyPredictor,
    ask,
    case_of,
    facts,
    linear,
    pixels,
    planned,
    sample_of,
)

WEIGHTS = np.random.default_rng(0).uniform(0, 6e-3, (3, SIDE, SIDE))
LAYERS = ("a", "b", "c", "d", "e")


def scored(metric: Mprt, explainer: Explainer, predictor: ToyPredictor) -> Outcome:
    image = pixels()
    made = ask(explainer.explain(sample_of(predictor, image)), predictor)
    assert not isinstance(made, Undefined)
    return ask(metric.score(case_of(predictor, image, made, explainer=explainer)), predictor)


@pytest.mark.parametrize("similarity", list(Similarity))
@pytest.mark.parametrize("order", list(LayerOrder))
def test_a_map_that_is_blind_to_the_model_stays_alike(
    similarity: Similarity, order: LayerOrder
) -> None:
    outcome = scored(Mprt(3, order, similarity), Centre(), linear(WEIGHTS))
    assert outcome.score == pytest.approx(1, abs=1e-12)
    assert outcome.parts["last"] == pytest.approx(1, abs=1e-12)


def test_the_score_is_the_mean_over_stages_written_out() -> None:
    predictor, metric = linear(WEIGHTS, own=facts(layers=LAYERS)), Mprt(stages=3)
    outcome = scored(metric, Saliency(), predictor)
    sample = sample_of(predictor, pixels())
    trained = ask(Saliency().explain(sample), predictor)
    found = []
    for layers in (("d", "e"), ("b", "c", "d", "e"), LAYERS):
        other = sample.reweighted(Weights(layers, 0))
        made = ask(Saliency().explain(other), predictor)
        assert not isinstance(made, Undefined)
        assert not np.array_equal(made, trained)
        found.append(spearmanr(np.abs(trained), np.abs(made), axis=None).statistic)
    assert outcome.curves["similarity"].values == pytest.approx(found, abs=1e-9)
    assert outcome.score == pytest.approx(np.mean(found), abs=1e-9)
    assert outcome.parts["last"] == pytest.approx(found[-1], abs=1e-9)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (LayerOrder.TOP_DOWN, [("d", "e"), ("b", "c", "d", "e"), LAYERS]),
        (LayerOrder.BOTTOM_UP, [("a", "b"), ("a", "b", "c", "d"), LAYERS]),
        (LayerOrder.INDEPENDENT, [("a", "b"), ("c", "d"), ("e",)]),
    ],
)
def test_stages_draw_the_layers_of_their_order(
    order: LayerOrder, expected: list[tuple[str, ...]]
) -> None:
    metric = Mprt(3, order)
    assert [metric._layers(LAYERS, stage) for stage in (1, 2, 3)] == expected


def test_a_map_that_becomes_constant_is_unlike_any_other_and_counted() -> None:
    def jacobian(image: np.ndarray) -> np.ndarray:
        full = np.zeros((3, *image.shape))
        full[0] = np.where(image.sum() > 0, 1, 0)
        return full

    predictor = ToyPredictor(lambda image: np.array([image.sum(), 0, 0]), jacobian=jacobian)
    case = case_of(predictor, pixels(), pixels(1)[0], explainer=Saliency())
    outcome = ask(Mprt(2).score(case), predictor)
    assert (outcome.score, outcome.parts["n_constant"]) == (0, 2)


def test_a_constant_map_of_the_trained_model_is_degenerate() -> None:
    predictor = linear(WEIGHTS)
    case = case_of(predictor, pixels(), np.ones((SIDE, SIDE)), explainer=Saliency())
    score = ask(Mprt().score(case), predictor).score
    assert isinstance(score, Undefined)
    assert score.reason is Reason.DEGENERATE


def test_a_model_without_weights_is_refused() -> None:
    with pytest.raises(UnsupportedOperatorError, match="no layer has constant weights"):
        Mprt().check(planned(facts(layers=()), explainer=Saliency()))
