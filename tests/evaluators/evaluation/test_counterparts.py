"""Attacked images, made once for each image and model and shown by a removal operator."""

from dataclasses import replace

import numpy as np
import pytest

from heatproof.evaluators.errors import InvalidArgumentError, UnsupportedOperatorError
from heatproof.evaluators.evaluation.engine import evaluate, explain, predict_masked
from heatproof.evaluators.evaluation.plan import plan
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Occlusion, Random
from heatproof.evaluators.images.inventory import Inventory, KnownImage
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import SourceImage
from heatproof.evaluators.metrics import Deletion
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.queries.passes import Capability
from heatproof.evaluators.queries.predictor import Shortfall
from heatproof.evaluators.removal import Adversarial, Black
from tests.evaluators.toys import SIDE, ToyPredictor, facts, linear, softmax

WEIGHTS = np.random.default_rng(0).uniform(-2e-3, 6e-3, (3, SIDE, SIDE))
PATCH = Occlusion(8, 8, Adversarial(epsilon=0.1))
SPEC = EvaluationSpec(
    models=("models/toy",),
    preprocessing=PRESETS["unit"],
    metrics=(),
    explainers=(PATCH,),
    removals=(),
)


def source(seed: int = 0) -> SourceImage:
    drawn = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    return SourceImage(f"{seed:064x}", "x", drawn)


def clean(image: SourceImage) -> np.ndarray:
    return np.asarray((image.pixels / 255).astype(np.float32).transpose(2, 0, 1))


def attacked(image: SourceImage, epsilon: float) -> np.ndarray:
    """One step against class 0 of a linear model, whose gradient has the signs of its weights."""
    moved = clean(image) - np.float32(epsilon) * np.sign(WEIGHTS).astype(np.float32)
    return np.clip(moved, 0, 1)


def test_hidden_patches_show_the_image_after_fgsm() -> None:
    predictor, image = linear(WEIGHTS), source()
    (found,) = explain(SPEC, [image], predictor)
    assert not isinstance(found.values, Undefined)
    assert predictor._logits(clean(image))[0] > 0
    own = softmax(predictor._logits(clean(image)).astype(np.float32))[0]
    for top, left in np.ndindex(4, 4):
        patch = np.s_[:, 8 * top : 8 * top + 8, 8 * left : 8 * left + 8]
        shown = clean(image)
        shown[patch] = attacked(image, 0.1)[patch]
        drop = own - softmax(predictor._logits(shown).astype(np.float32))[0]
        cells = found.values[8 * top : 8 * top + 8, 8 * left : 8 * left + 8]
        np.testing.assert_allclose(cells, drop, atol=1e-7)


def test_an_attack_is_made_once_for_all_that_show_it() -> None:
    counted: list[int] = []

    def jacobian(image: np.ndarray) -> np.ndarray:
        counted.append(1)
        full = np.zeros((3, *image.shape))
        full[0] = WEIGHTS
        return full

    predictor = ToyPredictor(linear(WEIGHTS)._logits, jacobian=jacobian)
    several = replace(
        SPEC,
        metrics=(Deletion(4, 4),),
        explainers=(PATCH, Occlusion(16, 16, Adversarial(epsilon=0.1)), Random(4)),
        removals=(Adversarial(epsilon=0.1), Black()),
    )
    (result,) = evaluate(several, [source()], {"models/toy": predictor}, lambda _: None)
    assert not any(isinstance(one.score, Undefined) for one in result.scores)
    assert len(counted) == 4  # one batch of four rows


def test_the_plan_counts_each_step_of_each_attack() -> None:
    known = Inventory.of([KnownImage("x")])
    base = replace(SPEC, metrics=(Deletion(4, 4),), explainers=(Random(4),))
    rows = {
        removal: plan(
            replace(base, removals=(removal,)), {"models/toy": facts()}, known
        ).predictions
        for removal in (Black(), Adversarial(), Adversarial(steps=5))
    }
    assert rows[Adversarial()] == rows[Black()] + 1
    assert rows[Adversarial(steps=5)] == rows[Black()] + 9


def test_several_steps_stay_within_epsilon() -> None:
    predictor, image = linear(WEIGHTS), source(1)
    one = replace(SPEC, explainers=(Occlusion(32, 32, Adversarial(0.05, steps=4)),))
    predictor.batches.clear()
    list(explain(one, [image], predictor))
    shown = predictor.batches[-1][0]
    np.testing.assert_allclose(shown, attacked(image, 0.05), atol=1e-6)


def test_an_image_without_a_gradient_has_a_status_and_others_go_on() -> None:
    flat = ToyPredictor(
        lambda _: np.array([1.0, 0, 0]), jacobian=lambda image: np.zeros((3, *image.shape))
    )
    spec = replace(SPEC, metrics=(Deletion(4, 4),), explainers=(PATCH, Random(4)))
    spec = replace(spec, removals=(Adversarial(), Black()))
    (result,) = evaluate(spec, [source()], {"models/toy": flat}, lambda _: None)
    reasons = [
        one.score.reason if isinstance(one.score, Undefined) else None for one in result.scores
    ]
    assert reasons[:2] == [Reason.NO_GRADIENT] * 2
    assert reasons[2] is Reason.NO_GRADIENT  # black, and a map that shows the attack
    assert reasons[3] is not Reason.NO_GRADIENT


def test_a_model_without_gradients_is_refused_by_name() -> None:
    lacking = facts(shortfalls=[Shortfall(Capability.GRADIENTS, "node 'n': Loop")])
    spec = replace(SPEC, metrics=(Deletion(4, 4),), explainers=(Random(4),))
    spec = replace(spec, removals=(Adversarial(),))
    with pytest.raises(UnsupportedOperatorError, match="adversarial needs gradients"):
        plan(spec, {"models/toy": lacking}, Inventory.of([KnownImage("x")]))


def test_single_predictions_refuse_it() -> None:
    masks = np.ones((1, SIDE, SIDE), np.bool_)
    with pytest.raises(InvalidArgumentError, match="nothing is explained") as caught:
        predict_masked(source(), masks, Adversarial(), PRESETS["unit"], linear(WEIGHTS))
    assert caught.value.field == "removal"
