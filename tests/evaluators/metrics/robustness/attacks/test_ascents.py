"""Attacks that follow no gradient, against a reading of their formulas."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from heatproof.evaluators.explainers import Centre
from heatproof.evaluators.metrics import AttackKind, Background, ExplanationConsistency
from heatproof.evaluators.metrics.robustness.attacks.ascents import EstimatedAscent, Probing, loss
from heatproof.evaluators.metrics.robustness.attacks.attack import Attack, adversarial_attack
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.queries.passes import Capability
from heatproof.evaluators.queries.predictor import Shortfall
from heatproof.evaluators.queries.targets import FixedClass
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

WEIGHTS = np.random.default_rng(0).normal(0.1, 1, (3, SIDE, SIDE)) * 5e-3
BOX = np.zeros((SIDE, SIDE), np.bool_)
BOX[3:7, 5:11] = True

DRAWS: Mapping[Probing, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    Probing.SPSA: lambda rng, shape: rng.choice(np.array([-1.0, 1.0]), shape),
    Probing.NES: lambda rng, shape: rng.standard_normal(shape),
}


def attacked(
    predictor: ToyPredictor, image: np.ndarray, ascent: EstimatedAscent
) -> np.ndarray | Undefined:
    sample = sample_of(predictor, image)
    found: np.ndarray | Undefined = ask(
        adversarial_attack(sample, ascent.attack, ascent), predictor
    )
    return found


@pytest.mark.parametrize("probing", Probing)
def test_an_estimate_is_the_sum_of_rises_along_its_directions(probing: Probing) -> None:
    predictor, image = linear(WEIGHTS), pixels(low=0.0)
    attack = Attack(BOX, 0.05, 1)
    found = attacked(predictor, image, EstimatedAscent(attack, probing, 7, 0.2))
    sample = sample_of(predictor, image)
    total = np.zeros(image.shape)
    for k in range(7):
        step = 0.2 * DRAWS[probing](sample.rng(f"{probing}/0/{k}"), image.shape) * BOX
        up, down = (
            np.clip(image + sign * step, 0, 1).astype(np.float32).astype(np.float64)
            for sign in (1, -1)
        )
        # the log-odds of class 0 against two classes of logit 0
        rise = (WEIGHTS * down).sum() - (WEIGHTS * up).sum()
        total += rise * step
    expected = np.where(BOX, np.clip(image + np.float32(0.05) * np.sign(total), 0, 1), image)
    np.testing.assert_allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize("probing", Probing)
def test_with_many_pairs_the_signs_are_those_of_the_gradient(probing: Probing) -> None:
    predictor, image = linear(WEIGHTS), pixels(low=0.3, high=0.7)
    attack = Attack(BOX, 0.05, 1)
    found = attacked(predictor, image, EstimatedAscent(attack, probing, 1500, 0.01))
    assert isinstance(found, np.ndarray)
    moved = np.sign(found - image)[:, BOX]
    slopes = WEIGHTS[:, BOX]
    missed = np.abs(slopes[moved != -np.sign(slopes)]).sum()
    assert missed < 0.03 * np.abs(slopes).sum()
    assert np.array_equal(found[:, ~BOX], image[:, ~BOX])


def test_steps_probe_around_the_image_that_the_last_one_reached() -> None:
    predictor, image = linear(WEIGHTS), pixels(low=0.3, high=0.7)
    attack = Attack(BOX, 0.05, 3)
    one = attacked(predictor, image, EstimatedAscent(attack, Probing.SPSA, 4, 0.01))
    predictor.batches.clear()
    assert isinstance(one, np.ndarray)
    assert np.abs(one - image).max() <= 0.05 + 1e-7
    views = [
        view
        for step in (0, 1)
        for view in EstimatedAscent(attack, Probing.SPSA, 4, 0.01)._views(
            sample_of(predictor, image), sample_of(predictor, image).image, step
        )
    ]
    assert len({view.image.key for view in views}) == 16


@pytest.mark.parametrize("kind", [AttackKind.SPSA, AttackKind.NES])
def test_a_model_without_gradients_is_attacked_by_estimates(kind: AttackKind) -> None:
    def logits(image: np.ndarray) -> np.ndarray:
        return np.array([(WEIGHTS * image.astype(np.float64)).sum(), 0.0, 0.0])

    predictor = ToyPredictor(logits)  # has no jacobian
    image = pixels(low=0.1, high=0.9)
    metric = ExplanationConsistency(attack=kind, pairs=32, background=Background.OBJECT)
    made = ask(Centre().explain(sample_of(predictor, image)), predictor)
    assert isinstance(made, np.ndarray)
    case = case_of(predictor, image, made, explainer=Centre(), object_mask=BOX)
    predictor.batches.clear()
    outcome = ask(metric.score(case), predictor)
    assert outcome.score == 1  # the map is blind to the image
    change = outcome.parts["confidence_change"]
    assert isinstance(change, float)
    assert change < 0
    assert sum(map(len, predictor.batches)) == metric.cost(case).rows(0)


def test_only_the_gradient_needs_a_differentiable_model() -> None:
    lacking = facts(shortfalls=[Shortfall(Capability.GRADIENTS, "why")])
    by_gradient = ExplanationConsistency().passes(lacking)
    assert [lacking.supports(run) is None for run in by_gradient] == [False]
    assert ExplanationConsistency(attack=AttackKind.SPSA).passes(lacking) == ()


def test_more_pairs_cost_more() -> None:
    case = planned(facts(), None, Centre())
    cheap = ExplanationConsistency(attack=AttackKind.NES, pairs=1, steps=2, controls=3).cost(case)
    assert (cheap.views, cheap.gradients, cheap.explanations) == (8, 0, 4)


def test_a_model_that_reads_nothing_gives_no_direction() -> None:
    predictor = linear(np.zeros((3, SIDE, SIDE)))
    found = attacked(
        predictor, pixels(), EstimatedAscent(Attack(BOX, 0.05, 1), Probing.SPSA, 4, 0.01)
    )
    assert isinstance(found, Undefined)
    assert found.reason is Reason.NO_GRADIENT


@pytest.mark.parametrize("probabilities", ["softmax", "sigmoid"])
def test_the_loss_rises_with_the_cross_entropy(probabilities: str) -> None:
    own = linear(WEIGHTS, own=facts(probabilities=probabilities))
    sample = replace(sample_of(own, pixels()), target=FixedClass(1))
    rng = np.random.default_rng(0)
    losses, entropies = [], []
    for _ in range(50):
        logits = rng.normal(size=3).astype(np.float32)
        losses.append(loss(sample, replace(sample.clean, logits=logits)))
        wide = logits.astype(np.float64)
        share = np.exp(wide)[1] / np.exp(wide).sum()
        entropies.append(
            -np.log(share) if probabilities == "softmax" else np.log1p(np.exp(-wide[1]))
        )
    assert np.array_equal(np.argsort(losses), np.argsort(entropies))
