"""Generalized explanation faithfulness: formula, how levels are found, what has no score."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from heatproof.evaluators.errors import InvalidArgumentError, UnsupportedOperatorError
from heatproof.evaluators.explainers import Centre, Explainer, Saliency
from heatproof.evaluators.explainers.explainer import ExplainerCategory, ExplainerFacts
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics import Gef
from heatproof.evaluators.metrics.randomization.gef import RUNGS
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from heatproof.evaluators.queries.batching import Batcher
from heatproof.evaluators.queries.passes import TRAINED, ModelPass, WeightNoise, Weights
from heatproof.evaluators.queries.predictor import Answers, Batch
from heatproof.evaluators.queries.procedure import Procedure
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
LAYERS = ("a", "b")
Noise = Callable[[WeightNoise, np.ndarray], np.ndarray]


class Noised(ToyPredictor):
    """Three classes, the first of which leads; `noise` says what becomes of the logits."""

    def __init__(self, noise: Noise, classes: int = 3) -> None:
        own = facts(layers=LAYERS, classes=classes)
        super().__init__(lambda image: np.arange(classes, 0, -1) * image.mean(), own=own)
        self._noise = noise

    def answers(self, run: ModelPass, batch: Batch) -> Answers:
        found = super().answers(replace(run, weights=TRAINED), batch)
        noise = run.weights.noise
        if noise is None:
            return found
        assert run.weights.layers == LAYERS
        changed = np.stack([self._noise(noise, row.astype(np.float64)) for row in found.logits])
        return Answers(changed.astype(np.float32))


@dataclass(frozen=True)
class Moving(Explainer):
    """A fixed map; under noise something is added to its first pixel, or it is lost."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="moving", reference="test", category=ExplainerCategory.CONTROLS
    )
    step: float = 1.0
    power: float = 1.0
    scale: float = 1.0
    lost: str = ""

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        yield from ()
        made: Map = np.random.default_rng(3).random((SIDE, SIDE))
        noise = sample.weights.noise
        if noise is None:
            return made
        if self.lost == "gone":
            return Undefined(Reason.NO_GRADIENT, "lost")
        made[0, 0] += self.step * noise.deviation**self.power
        return made * {"zero": 0.0, "nan": np.nan}.get(self.lost, self.scale)


def growing(noise: WeightNoise, logits: np.ndarray) -> np.ndarray:
    """All logits rise with the noise, the first one remains the highest."""
    return logits + noise.deviation


def reason_of(outcome: Outcome) -> Reason:
    assert isinstance(outcome.score, Undefined)
    return outcome.score.reason


def test_the_score_is_the_mean_correlation_written_out() -> None:
    predictor, image = linear(WEIGHTS, own=facts(layers=LAYERS)), pixels()
    metric = Gef(levels=6, draws=4, largest_deviation=0.4)
    outcome = scored(metric, Saliency(), image, predictor)
    sample = sample_of(predictor, image)

    def unit(values: np.ndarray) -> np.ndarray:
        return values / np.sqrt((values**2).sum() / values.size)

    trained = ask(Saliency().explain(sample), predictor)
    assert not isinstance(trained, Undefined)
    model, moved = np.zeros((4, 6)), np.zeros((4, 6))
    for draw in range(4):
        for level in range(6):
            deviation = 0.001 + level * (0.4 - 0.001) / 5
            exact = np.linspace(0.001, 0.4, 6)[level]
            assert deviation == pytest.approx(exact, rel=1e-12)
            noise = WeightNoise(float(exact), draw)
            other = ask(sample.reweighted(Weights(LAYERS, 0, noise)).answered(), predictor)
            made = ask(Saliency().explain(other), predictor)
            assert not isinstance(made, Undefined)
            target = int(sample.clean.logits.argmax())
            model[draw, level] = abs(
                float(other.clean.logits[target] - sample.clean.logits[target])
            )
            moved[draw, level] = np.sqrt(((unit(made) - unit(trained)) ** 2).sum())
    found = [spearmanr(*pair).statistic for pair in zip(model, moved, strict=True)]
    assert outcome.score == pytest.approx(np.mean(found), abs=1e-12)
    assert outcome.parts == {"largest_deviation": 0.4, "n_constant": 0}
    for name, way in (("model", model), ("map", moved)):
        shares = way / np.sqrt((way**2).mean(axis=1, keepdims=True))
        assert outcome.curves[name].values == pytest.approx(shares.mean(axis=0), rel=1e-6)
        assert outcome.curves[name].fractions == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])


@settings(max_examples=15, deadline=None)
@given(
    step=st.floats(0.1, 9),
    power=st.floats(0.3, 3),
    scale=st.floats(1e-3, 1e3),
    levels=st.integers(3, 9),
    draws=st.integers(1, 3),
)
@example(step=0.01, power=1.0, scale=0.5, levels=5, draws=1)  # unscaled maps would come nearer
def test_a_map_that_moves_with_the_model_scores_one_whatever_its_unit(
    step: float, power: float, scale: float, levels: int, draws: int
) -> None:
    explainer = Moving(step, power, scale)
    outcome = scored(Gef(levels, draws), explainer, pixels(), Noised(growing))
    assert outcome.score == pytest.approx(1, abs=1e-12)


def test_a_map_that_moves_the_other_way_scores_minus_one() -> None:
    def shrinking(noise: WeightNoise, logits: np.ndarray) -> np.ndarray:
        return logits + 1 - noise.deviation / 10

    outcome = scored(Gef(), Moving(), pixels(), Noised(shrinking))
    assert outcome.score == pytest.approx(-1, abs=1e-12)


@pytest.mark.parametrize("explainer", [Centre(), Moving(step=0), Moving(lost="zero")])
def test_a_map_that_moves_equally_far_at_all_levels_scores_nothing(explainer: Explainer) -> None:
    outcome = scored(Gef(draws=4), explainer, pixels(), Noised(growing))
    assert outcome.score == 0
    assert outcome.parts["n_constant"] == 4
    lost = isinstance(explainer, Moving) and explainer.lost
    # A map of zeros is a root mean square away, times the root of the number of pixels.
    assert outcome.curves["map"].values == pytest.approx([1.0 if lost else 0.0] * 5)


@pytest.mark.parametrize("rung", range(8))
def test_the_largest_deviation_is_the_first_rung_where_the_class_is_lost(rung: int) -> None:
    def turning(noise: WeightNoise, logits: np.ndarray) -> np.ndarray:
        moved = logits + noise.deviation
        return moved[::-1] if noise.deviation >= 0.0125 * 2**rung else moved

    outcome = scored(Gef(), Moving(), pixels(), Noised(turning))
    assert outcome.parts["largest_deviation"] == pytest.approx(0.0125 * 2**rung)


def test_where_the_class_is_never_lost_the_last_rung_is_the_largest() -> None:
    outcome = scored(Gef(), Moving(), pixels(), Noised(growing))
    assert outcome.parts["largest_deviation"] == RUNGS[-1] == pytest.approx(1.6)


@pytest.mark.parametrize(
    ("classes", "draws", "kept", "is_lost"),
    [(3, 6, 2, True), (3, 6, 3, False), (2, 5, 2, True), (2, 5, 3, False), (7, 5, 1, False)],
)
def test_a_class_is_lost_where_it_is_kept_no_more_often_than_by_chance(
    classes: int, draws: int, kept: int, is_lost: bool
) -> None:
    def noise(one: WeightNoise, logits: np.ndarray) -> np.ndarray:
        moved = logits + one.deviation
        return moved if one.draw < kept else moved[::-1]

    outcome = scored(Gef(3, draws), Moving(), pixels(), Noised(noise, classes))
    assert outcome.parts["largest_deviation"] == (RUNGS[0] if is_lost else RUNGS[-1])


def test_answers_that_are_not_finite_do_not_keep_the_class() -> None:
    def bursting(noise: WeightNoise, logits: np.ndarray) -> np.ndarray:
        return logits + (noise.deviation if noise.deviation < 0.1 else np.nan)

    outcome = scored(Gef(), Moving(), pixels(), Noised(bursting))
    assert reason_of(outcome) is Reason.NOT_FINITE
    stated = scored(Gef(largest_deviation=0.05), Moving(), pixels(), Noised(bursting))
    assert stated.score == pytest.approx(1)


def test_a_logit_that_does_not_follow_the_noise_is_degenerate() -> None:
    outcome = scored(Gef(), Moving(), pixels(), Noised(lambda _, logits: logits))
    assert reason_of(outcome) is Reason.DEGENERATE


def test_a_constant_map_of_the_trained_model_is_degenerate() -> None:
    predictor = Noised(growing)
    case = case_of(predictor, pixels(), np.ones((SIDE, SIDE)), explainer=Moving())
    assert reason_of(ask(Gef().score(case), predictor)) is Reason.DEGENERATE


@pytest.mark.parametrize(
    ("lost", "reason"), [("nan", Reason.NOT_FINITE), ("gone", Reason.NO_GRADIENT)]
)
def test_a_map_that_noise_takes_away_is_a_status(lost: str, reason: Reason) -> None:
    outcome = scored(Gef(), Moving(lost=lost), pixels(), Noised(growing))
    assert reason_of(outcome) is reason


def test_what_leaves_no_levels_is_refused() -> None:
    with pytest.raises(UnsupportedOperatorError, match="no layer has constant weights"):
        Gef().check(planned(facts(layers=()), explainer=Saliency()))
    for deviation in (1e-9, 1e-3):
        with pytest.raises(InvalidArgumentError, match=r"must be above 0\.001") as raised:
            Gef(largest_deviation=deviation).check(planned(facts(), explainer=Saliency()))
        assert raised.value.field == "largest_deviation"
    with pytest.raises(InvalidArgumentError, match="has one alone: state it") as raised:
        Gef().check(planned(facts(classes=1), explainer=Saliency()))
    assert raised.value.field == "largest_deviation"
    Gef(largest_deviation=0.2).check(planned(facts(classes=1), explainer=Saliency()))
    Gef().check(planned(facts(classes=2), explainer=Saliency()))


@pytest.mark.parametrize("metric", [Gef(), Gef(3, 2), Gef(7, 3, largest_deviation=0.3)])
def test_it_costs_what_it_says(metric: Gef) -> None:
    predictor = linear(WEIGHTS, own=facts(layers=LAYERS))
    case = case_of(predictor, pixels(), pixels()[0], explainer=Saliency())
    batcher = Batcher(predictor)
    assert isinstance(run_one(metric.score(case), batcher).score, float)
    assert batcher.rows_done == metric.cost(case).rows(1)
