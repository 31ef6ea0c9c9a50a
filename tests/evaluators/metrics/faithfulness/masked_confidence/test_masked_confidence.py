"""What the class keeps of its probability when only what a map keeps is shown."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.metrics import (
    AverageDrop,
    AverageGain,
    DropInConfidence,
    IncreaseInConfidence,
    Metric,
)
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.predictor import Answers, Batch
from heatproof.evaluators.regions import Grid, Slic
from heatproof.evaluators.removal import (
    Black,
    Grey,
    Inpaint,
    Layer,
    LinearImputation,
    Neighbourhood,
    Noise,
    RemovalOperator,
    White,
)
from heatproof.evaluators.statistics.reductions import Proportion, RatioOfMeans
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
    softmax,
)

KINDS = (AverageDrop, IncreaseInConfidence, AverageGain, DropInConfidence)
WEIGHTS = np.random.default_rng(0).uniform(-2.9e-3, 3.1e-3, (3, SIDE, SIDE))
MADE = pixels(3, low=-1.0)[1].astype(np.float64)


def scored(
    metric: Metric,
    attribution: np.ndarray,
    *,
    removal: RemovalOperator | None = None,
    predictor: ToyPredictor | None = None,
    image: np.ndarray | None = None,
) -> Outcome:
    predictor = predictor or linear(WEIGHTS)
    shown = pixels() if image is None else image
    case = case_of(predictor, shown, attribution, removal=removal)
    return ask(metric.score(case), predictor)


def reason(outcome: Outcome) -> Reason:
    assert isinstance(outcome.score, Undefined)
    return outcome.score.reason


def probability(image: np.ndarray) -> float:
    logits = np.asarray(linear(WEIGHTS)._logits(image), np.float32)
    return float(softmax(logits)[0])


def written_out(confidence: float, masked: float) -> dict[type[Metric], float]:
    """The four formulas."""
    return {
        AverageDrop: max(0, confidence - masked) / confidence,
        IncreaseInConfidence: float(masked > confidence),
        AverageGain: max(0, masked - confidence) / (1 - confidence),
        DropInConfidence: max(0, confidence - masked),
    }


def mean_model() -> ToyPredictor:
    """`s(x) = mean of x`, from logits of two classes."""

    def logits(image: np.ndarray) -> np.ndarray:
        mean = float(image.astype(np.float64).mean())
        return np.array([math.log(mean / (1 - mean)), 0.0])

    return ToyPredictor(logits, own=facts(classes=2))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("removal", [Black(), Grey(), White()], ids=lambda one: one.name)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_score_is_the_formula_over_the_image_mixed_with_what_the_operator_paints(
    kind: type[Metric], removal: RemovalOperator, sign: float
) -> None:
    image = pixels()
    nothing = bound(removal, image)(np.zeros((SIDE, SIDE), np.bool_))
    # Keeping what speaks for the class raises it.
    made = np.sign((WEIGHTS * (image - nothing)).sum(axis=0)) + 0.1 * MADE
    positive = np.where(sign * made > 0, sign * made, 0)
    share = positive / positive.max()  # its least value is 0
    confidence = probability(image)
    masked = probability((share * image + (1 - share) * nothing).astype(np.float32))
    assert (masked > confidence) == (sign > 0)
    found = scored(kind(), sign * made, removal=removal)
    assert found.score == pytest.approx(written_out(confidence, masked)[kind], abs=1e-6)
    assert found.parts["masked_confidence"] == pytest.approx(masked, abs=1e-6)
    assert found.parts["confidence_change"] == pytest.approx(masked - confidence, abs=1e-6)


def test_a_model_that_takes_the_mean_sees_the_mean_of_what_is_kept() -> None:
    image, predictor = pixels(), mean_model()
    share = np.maximum(MADE, 0) / MADE.max()
    found = scored(DropInConfidence(), MADE, predictor=predictor, image=image)
    assert found.parts["masked_confidence"] == pytest.approx((share * image).mean(), abs=1e-6)


def test_the_least_positive_value_is_scaled_to_0_too() -> None:
    image, made = pixels(), 2 + MADE
    share = (made - made.min()) / (made.max() - made.min())
    found = scored(DropInConfidence(), made, predictor=mean_model(), image=image)
    assert found.parts["masked_confidence"] == pytest.approx((share * image).mean(), abs=1e-6)


@settings(max_examples=5, deadline=None)
@given(st.floats(0.01, 100))
def test_the_unit_of_the_map_changes_nothing(scale: float) -> None:
    base = scored(DropInConfidence(), MADE).score
    assert scored(DropInConfidence(), scale * MADE).score == pytest.approx(base, abs=1e-6)


def test_a_map_of_ones_but_for_a_pixel_on_a_constant_model_neither_drops_nor_gains() -> None:
    made = np.ones((SIDE, SIDE))
    made[0, 0] = 0
    blind = ToyPredictor(lambda image: np.array([1.0, 0, 0]) + 0 * image.sum())
    for kind in KINDS:
        assert scored(kind(), made, predictor=blind).score == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("removal", [Black(), Layer()], ids=lambda one: one.name)
def test_a_share_shows_the_most_salient_regions_alone(
    kind: type[Metric], removal: RemovalOperator
) -> None:
    image = pixels()
    numbers = np.kron(np.arange(16).reshape(4, 4), np.ones((8, 8), np.int64))
    means = np.array([MADE[numbers == cell].mean() for cell in range(16)])
    best = np.argsort(-means)[:4]  # floor(0.29 * 16)
    masked = probability(np.where(np.isin(numbers, best), image, np.float32(0)))
    found = scored(kind(keep=0.29, regions=Grid(4)), MADE, removal=removal)
    expected = written_out(probability(image), masked)[kind]
    assert found.score == pytest.approx(expected, abs=1e-9)


def test_at_least_one_region_is_shown() -> None:
    tiny = scored(DropInConfidence(keep=0.01, regions=Grid(4)), MADE)
    one = scored(DropInConfidence(keep=0.0625, regions=Grid(4)), MADE)
    assert tiny.parts == one.parts


@pytest.mark.parametrize(
    "removal", [Layer(), Inpaint(), LinearImputation(), Neighbourhood()], ids=lambda one: one.name
)
def test_operators_without_a_picture_of_nothing_are_refused_to_mix(
    removal: RemovalOperator,
) -> None:
    for kind in KINDS:
        with pytest.raises(InvalidArgumentError, match=removal.name) as caught:
            kind().check(planned(facts(), removal))
        assert caught.value.field == "keep"
        kind(keep=0.2).check(planned(facts(), removal))


def test_random_operators_paint_what_they_paint_for_other_metrics() -> None:
    image, predictor = pixels(), mean_model()
    case = case_of(predictor, image, MADE, removal=Noise())
    nothing = Noise().bind(case.sample.removal_view(Noise()))(np.zeros((SIDE, SIDE), np.bool_))
    share = np.maximum(MADE, 0) / MADE.max()
    found = ask(DropInConfidence().score(case), predictor)
    expected = (share * image + (1 - share) * nothing).mean()
    assert found.parts["masked_confidence"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_scored_has_a_status(kind: type[Metric]) -> None:
    for flat in (np.zeros((SIDE, SIDE)), np.full((SIDE, SIDE), 0.4), -np.abs(MADE)):
        assert reason(scored(kind(), flat)) is Reason.DEGENERATE
    assert reason(scored(kind(keep=0.3), np.full((SIDE, SIDE), 0.4))) is Reason.DEGENERATE
    sick = ToyPredictor(
        lambda image: np.array([1.0 if np.array_equal(image, pixels()) else math.nan, 0, 0])
    )
    assert reason(scored(kind(), MADE, predictor=sick)) is Reason.NOT_FINITE


class Vanishing(ToyPredictor):
    """Loses sight of everything but whole images."""

    def answers(self, run: ModelPass, batch: Batch) -> Answers:
        found = super().answers(run, batch)
        if found.coverage is None:
            return found
        return replace(found, coverage=np.zeros_like(found.coverage))


def test_an_answer_to_nothing_is_no_score() -> None:
    predictor = Vanishing(linear(WEIGHTS)._logits)
    found = scored(AverageDrop(keep=0.3), MADE, removal=Layer(), predictor=predictor)
    assert reason(found) is Reason.ZERO_COVERAGE


def test_nothing_is_divided_by_a_probability_near_0() -> None:
    sure = ToyPredictor(lambda image: np.array([9.0 * image.min() ** 0, 0, 0]))
    assert reason(scored(AverageGain(), MADE, predictor=sure)) is Reason.NO_CONFIDENCE
    assert isinstance(scored(AverageDrop(), MADE, predictor=sure).score, float)
    many = ToyPredictor(lambda image: np.zeros(2000) + 0 * image.sum(), own=facts(classes=2000))
    assert reason(scored(AverageDrop(), MADE, predictor=many)) is Reason.NO_CONFIDENCE
    assert isinstance(scored(AverageGain(), MADE, predictor=many).score, float)


def test_ratios_of_a_data_set_are_ratios_of_means_with_the_published_mean_beside() -> None:
    drop, gain = AverageDrop().reduction, AverageGain().reduction
    assert isinstance(drop, RatioOfMeans)
    assert isinstance(gain, RatioOfMeans)
    assert (drop.parts, gain.parts) == (("drop", "confidence"), ("gain", "headroom"))
    assert drop.atoms == gain.atoms == (0.0,)
    assert isinstance(IncreaseInConfidence().reduction, Proportion)
    found = scored(AverageDrop(), MADE)
    assert found.parts["mean_of_ratios"] == found.score
    held = found.parts["drop"], found.parts["confidence"]
    assert all(isinstance(one, float) for one in held)
    assert held[0] / held[1] == found.score  # type: ignore[operator]  # both are numbers


def test_regions_that_do_not_fit_are_refused_where_a_share_of_them_is_shown() -> None:
    AverageDrop(regions=Grid(33)).check(planned(facts(), Black()))
    with pytest.raises(InvalidArgumentError) as caught:
        AverageDrop(keep=0.2, regions=Slic(segments=500)).check(planned(facts(), Black()))
    assert caught.value.field == "regions.slic.segments"
