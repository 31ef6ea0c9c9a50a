"""Smooth and efficient randomization, and the map of a random class: formulas and laws."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy, spearmanr
from skimage.metrics import structural_similarity as reference_ssim

from heatproof.evaluators.errors import InvalidArgumentError, UnsupportedOperatorError
from heatproof.evaluators.explainers import Centre, EigenCam, Explainer, Occlusion, Saliency
from heatproof.evaluators.explainers.explainer import ExplainerCategory, ExplainerFacts
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics import EfficientMprt, Metric, Mprt, RandomLogit, SmoothMprt
from heatproof.evaluators.metrics.functions.similarities import Likeness, Similarity
from heatproof.evaluators.metrics.randomization.model_randomization import LayerOrder
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from heatproof.evaluators.queries.batching import Batcher
from heatproof.evaluators.queries.passes import Weights
from heatproof.evaluators.queries.procedure import LazyImage, Procedure
from heatproof.evaluators.queries.sample import Sample
from tests.evaluators.metrics.robustness.showing import scored
from tests.evaluators.toys import (
    SIDE,
    ToyPredictor,
    ask,
    case_of,
    facts,
    linear,
    pixels,
    planned,
    run_one,
    sample_of,
)

WEIGHTS = np.random.default_rng(0).uniform(0, 6e-3, (3, SIDE, SIDE))
LAYERS = ("a", "b", "c", "d")
BLIND_TO_CLASS = (Centre(), EigenCam())


def quadratic() -> ToyPredictor:
    """Class k has the logit `sum(w_k x^2) / 2`, and so a gradient that the image enters."""
    own = np.stack([np.roll(WEIGHTS, 5 * k, axis=-1) * (k + 1) for k in range(3)])

    def logits(image: np.ndarray) -> np.ndarray:
        return np.array([(one * image.astype(np.float64) ** 2).sum() / 2 for one in own])

    def jacobian(image: np.ndarray) -> np.ndarray:
        made: np.ndarray = own * image.astype(np.float64)
        return made

    return ToyPredictor(logits, jacobian=jacobian, own=facts(layers=LAYERS))


@dataclass(frozen=True)
class OfClass(Explainer):
    """A map of a closed form for each class and set of weights."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="of_class", reference="test", category=ExplainerCategory.CONTROLS
    )
    random: str = ""
    """Of random models: `zero` or `nan` in place of the map."""

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        yield from ()
        made: Map = np.random.default_rng(sample.target.class_index).random((SIDE, SIDE))
        if sample.weights.layers and self.random:
            made = made * {"zero": 0.0, "nan": np.nan}[self.random]
        return made


def reason_of(outcome: Outcome) -> Reason:
    assert isinstance(outcome.score, Undefined)
    return outcome.score.reason


def test_smooth_maps_are_means_over_noise_written_out() -> None:
    predictor, image = quadratic(), pixels()
    metric = SmoothMprt(2, samples=3, noise=0.2)
    outcome = scored(metric, Saliency(), image, predictor)
    sample = sample_of(predictor, image)

    def mean_map(weights: Weights) -> np.ndarray:
        total = np.zeros((SIDE, SIDE))
        for draw in range(3):
            spread = np.float32(0.2 * float(image.max() - image.min()))
            drawn = sample.rng(f"noise/{draw}").standard_normal(image.shape, np.float32)
            noisy = LazyImage.of(image + spread * drawn)
            moved = sample.reweighted(weights).moved(noisy)
            made = ask(Saliency().explain(moved), predictor)
            assert not isinstance(made, Undefined)
            total += made / np.sqrt((made**2).mean())
        return total / 3

    trained = mean_map(Weights())
    found = [
        spearmanr(trained, mean_map(Weights(layers)), axis=None).statistic
        for layers in (LAYERS[:2], LAYERS)  # from the bottom up
    ]
    assert outcome.curves["similarity"].values == pytest.approx(found, abs=1e-9)
    assert outcome.score == pytest.approx(np.mean(found), abs=1e-9)
    assert outcome.parts["last"] == pytest.approx(found[-1], abs=1e-9)


@settings(max_examples=5, deadline=None)
@given(order=st.sampled_from(LayerOrder), samples=st.integers(1, 4), seed=st.integers(0, 99))
def test_without_noise_smooth_randomization_is_the_plain_one(
    order: LayerOrder, samples: int, seed: int
) -> None:
    smooth = SmoothMprt(3, order, samples=samples, noise=0.0)
    found, plain = (
        scored(metric, Saliency(), pixels(seed), quadratic()).score
        for metric in (smooth, Mprt(3, order))
    )
    assert found == pytest.approx(plain, abs=1e-9)


@pytest.mark.parametrize("similarity", list(Similarity))
def test_a_map_that_is_blind_to_the_model_stays_alike(similarity: Similarity) -> None:
    for metric in (
        Mprt(2, similarity=similarity),
        SmoothMprt(2, similarity=similarity, samples=2),
        RandomLogit(similarity=similarity),
    ):
        found = scored(metric, Centre(), pixels(), quadratic()).score
        assert found == pytest.approx(1, abs=1e-12)
    assert scored(EfficientMprt(), Centre(), pixels(), quadratic()).score == 0


@pytest.mark.parametrize("explainer", [Saliency(), Occlusion(16, 16)], ids=lambda one: one.name)
@pytest.mark.parametrize(
    ("metric", "maps"),
    [(Mprt(stages=2), 2), (SmoothMprt(stages=2, samples=3), 9), (EfficientMprt(), 1)],
)
def test_random_models_are_asked_for_answers_only_where_the_explainer_reads_them(
    metric: Metric, maps: int, explainer: Explainer
) -> None:
    predictor = quadratic()
    batcher = Batcher(predictor)
    case = case_of(predictor, pixels(), pixels()[0], explainer=explainer)
    run_one(metric.score(case), batcher)
    expected = maps * (1 + explainer.cost(facts()) if explainer.reads_answer else 1)
    assert batcher.rows_done == metric.cost(case).rows(explainer.cost(facts())) == expected


@pytest.mark.parametrize("bins", [10, 64])
def test_the_rise_of_the_entropy_written_out(bins: int) -> None:
    predictor, image = quadratic(), pixels()
    outcome = scored(EfficientMprt(bins), Saliency(), image, predictor)
    sample = sample_of(predictor, image)
    other = sample.reweighted(Weights(LAYERS))
    found = []
    for one in (sample, other):
        made = ask(Saliency().explain(one), predictor)
        assert not isinstance(made, Undefined)
        share = (made - made.min()) / (made.max() - made.min())
        places = np.minimum((share * bins).astype(int), bins - 1)
        found.append(entropy(np.bincount(places.ravel())))
    assert outcome.parts["entropy"] == pytest.approx(found[0], rel=1e-3)
    assert outcome.parts["random_entropy"] == pytest.approx(found[1], rel=1e-3)
    assert outcome.score == pytest.approx(
        (outcome.parts["random_entropy"] - outcome.parts["entropy"]) / outcome.parts["entropy"]  # type: ignore[operator]  # both are numbers
    )


@settings(max_examples=5, deadline=None)
@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-10, 10))
def test_the_entropy_of_a_map_has_no_unit(scale: float, shift: float) -> None:
    made = np.random.default_rng(0).random((SIDE, SIDE)).round(1)  # far from the bins' ends
    metric = EfficientMprt(97)
    assert metric._entropy(scale * made + shift) == pytest.approx(metric._entropy(made), rel=1e-9)


@pytest.mark.parametrize("metric", [Mprt(2), SmoothMprt(2, samples=2), EfficientMprt()])
def test_random_models_with_a_constant_map(metric: Metric) -> None:
    outcome = scored(metric, OfClass("zero"), pixels(), quadratic())
    assert outcome.score == (-1 if isinstance(metric, EfficientMprt) else 0)
    assert outcome.parts.get("n_constant", 2) == 2


@pytest.mark.parametrize("metric", [Mprt(2), SmoothMprt(2, samples=2), EfficientMprt()])
def test_a_map_of_a_random_model_that_is_not_finite_is_a_status(metric: Metric) -> None:
    outcome = scored(metric, OfClass("nan"), pixels(), quadratic())
    assert reason_of(outcome) is Reason.NOT_FINITE


@dataclass(frozen=True)
class Flat(OfClass):
    """The same number everywhere, for one class or for all."""

    only: int = -1

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        made = yield from OfClass.explain(self, sample)
        is_flat = self.only in {-1, sample.target.class_index}
        return np.ones((SIDE, SIDE)) if is_flat else made


@pytest.mark.parametrize(
    "metric", [Mprt(2), SmoothMprt(2, samples=2), EfficientMprt(), RandomLogit()]
)
def test_a_constant_map_of_the_trained_model_is_degenerate(metric: Metric) -> None:
    assert reason_of(scored(metric, Flat(), pixels(), quadratic())) is Reason.DEGENERATE


def test_a_constant_map_of_the_other_class_is_degenerate() -> None:
    sample = sample_of(quadratic(), pixels())
    others = [one for one in range(3) if one != sample.target.class_index]
    drawn = int(sample.rng("class").choice(others))
    outcome = scored(RandomLogit(), Flat(only=drawn), pixels(), quadratic())
    assert reason_of(outcome) is Reason.DEGENERATE
    (rest,) = (one for one in others if one != drawn)
    assert isinstance(scored(RandomLogit(), Flat(only=rest), pixels(), quadratic()).score, float)


def test_the_other_class_is_any_but_the_target() -> None:
    drawn = set()
    for seed in range(12):
        image = pixels(seed)
        sample = sample_of(quadratic(), image)
        found = scored(RandomLogit(Similarity.PEARSON), OfClass(), image, quadratic()).score
        maps = [ask(OfClass().explain(sample), quadratic())]
        maps += [np.random.default_rng(k).random((SIDE, SIDE)) for k in range(3)]
        values = [np.corrcoef(maps[0].ravel(), one.ravel())[0, 1] for one in maps[1:]]  # type: ignore[union-attr]  # a map
        (at,) = [k for k, value in enumerate(values) if value == pytest.approx(found, abs=1e-12)]
        assert at != sample.target.class_index
        drawn.add(at)
    assert len(drawn) == 2


@pytest.mark.parametrize("explainer", BLIND_TO_CLASS)
def test_a_map_that_is_blind_to_the_class_is_wholly_alike(explainer: Explainer) -> None:
    assert scored(RandomLogit(), explainer, pixels(), linear(WEIGHTS)).score == pytest.approx(1)


def test_maps_are_scaled_before_their_structures_are_compared() -> None:
    rng = np.random.default_rng(1)
    first = rng.normal(size=(SIDE, SIDE))
    second = first + 0.4 * rng.normal(size=(SIDE, SIDE))
    clipped = [np.maximum(one, 0) / one.max() for one in (first, second)]
    expected = reference_ssim(
        *clipped, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        full=True,
    )[1]  # fmt: skip
    found = Likeness(Similarity.SSIM, absolute=False).of(first, 7 * second)
    assert found is not None
    assert found == pytest.approx(expected.mean(), abs=0.01)  # borders differ
    assert found > 0.5
    assert found == pytest.approx(Likeness(Similarity.SSIM, absolute=False).of(second, first / 3))
    assert Likeness(Similarity.SSIM, absolute=True).of(first, -first) == pytest.approx(1)
    assert Likeness(Similarity.SSIM, absolute=False).of(first, -np.abs(first)) is None


def test_what_a_model_lacks_is_refused() -> None:
    for metric in (SmoothMprt(), EfficientMprt()):
        with pytest.raises(UnsupportedOperatorError, match="no layer has constant weights"):
            metric.check(planned(facts(layers=()), explainer=Saliency()))
    with pytest.raises(InvalidArgumentError, match="has one alone"):
        RandomLogit().check(planned(facts(classes=1), explainer=Saliency()))
    RandomLogit().check(planned(facts(classes=2), explainer=Saliency()))


@pytest.mark.parametrize(
    "metric", [Mprt(3), SmoothMprt(3, samples=40), EfficientMprt(), RandomLogit()]
)
def test_a_metric_costs_what_it_says(metric: Metric) -> None:
    predictor = quadratic()
    case = case_of(predictor, pixels(), pixels()[0], explainer=Saliency())
    batcher = Batcher(predictor)
    assert isinstance(run_one(metric.score(case), batcher).score, float)
    assert batcher.rows_done == metric.cost(case).rows(1)
