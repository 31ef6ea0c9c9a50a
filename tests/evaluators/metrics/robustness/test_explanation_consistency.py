from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.explainers import Centre, Explainer, Occlusion, Saliency
from heatproof.evaluators.explainers.explainer import ExplainerCategory, ExplainerFacts
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.images.inventory import Inventory, KnownImage
from heatproof.evaluators.metrics import (
    Background,
    Deletion,
    Distance,
    ExplanationConsistency,
)
from heatproof.evaluators.metrics.functions.distances import DISTANCES, unit_scaled
from heatproof.evaluators.metrics.metric import Cost, is_answered_by
from heatproof.evaluators.metrics.robustness.attacks.ascents import cross_entropy_gradient
from heatproof.evaluators.metrics.robustness.attacks.attack import Attack, random_attack
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Sample
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


@dataclass(frozen=True)
class Reading(Explainer):
    """An explainer of the pixels alone: the red channel, or a constant once it has changed."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="reading", reference="test", category=ExplainerCategory.CONTROLS
    )

    first_only: bool = False

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        yield from ()
        if self.first_only and sample.is_perturbed:
            return np.zeros((SIDE, SIDE))
        red: Map = sample.image.draw()[0].astype(np.float64)
        return red


def signed(seed: int = 0, scale: float = 5e-3) -> np.ndarray:
    """Weights of both signs whose small surplus makes class 0 the top one, at no great distance."""
    drawn: np.ndarray = np.random.default_rng(seed).normal(0.1, 1, size=(3, SIDE, SIDE))
    return drawn * scale


def scored(
    metric: ExplanationConsistency,
    predictor: ToyPredictor,
    image: np.ndarray,
    explainer: Explainer,
) -> Outcome:
    made = ask(explainer.explain(sample_of(predictor, image)), predictor)
    assert not isinstance(made, Undefined)
    return ask(metric.score(case_of(predictor, image, made, explainer=explainer)), predictor)


def changed(
    predictor: ToyPredictor, image: np.ndarray, metric: ExplanationConsistency
) -> np.ndarray:
    """The attacked image, caught on its way into the model."""
    predictor.batches.clear()
    scored(metric, predictor, image, Reading())
    rows = np.concatenate(predictor.batches)
    others = [row for row in rows if not np.array_equal(row, image)]
    first: np.ndarray = others[0]
    return first


@pytest.mark.parametrize("steps", [1, 4])
def test_without_a_perturbation_the_map_is_wholly_consistent(steps: int) -> None:
    metric = ExplanationConsistency(epsilon=0.0, steps=steps)
    outcome = scored(metric, linear(signed()), pixels(low=0.0), Reading())
    assert outcome.score == 1
    assert outcome.parts["training_weight"] == 0
    assert outcome.parts["confidence_change"] == 0
    assert outcome.parts["control_random"] == 1


@pytest.mark.parametrize("explainer", [Reading(), Reading(first_only=True)])
def test_a_flip_scores_zero_even_if_the_other_map_is_constant(explainer: Explainer) -> None:
    # The clean logit is a little above the others; the attack drives it below.
    weights = signed()
    image = np.where(pixels(low=0.0) < 0.5, np.float32(0.2), np.float32(0.8))
    weights -= weights.mean()
    offset = 0.01 - (weights * image).sum()

    def logits(seen: np.ndarray) -> np.ndarray:
        return np.array([(weights * seen).sum() + offset, 0, 0])

    def jacobian(seen: np.ndarray) -> np.ndarray:
        full = np.zeros((3, *seen.shape))
        full[0] = weights
        return full

    predictor = ToyPredictor(logits, jacobian=jacobian)
    outcome = scored(ExplanationConsistency(epsilon=0.1), predictor, image, explainer)
    assert outcome.score == 0.0
    assert outcome.parts["flipped"] == 1
    assert outcome.parts["training_weight"] == 1
    unflipped = outcome.parts["unflipped_consistency"]
    assert isinstance(unflipped, Undefined)
    assert unflipped.reason is Reason.FLIPPED


def test_a_constant_map_of_the_attacked_image_without_a_flip_is_degenerate() -> None:
    outcome = scored(
        ExplanationConsistency(epsilon=1e-3),
        linear(signed()),
        pixels(low=0.0),
        Reading(first_only=True),
    )
    assert isinstance(outcome.score, Undefined)
    assert outcome.score.reason is Reason.DEGENERATE
    assert outcome.parts["flipped"] == 0


def test_weight_and_distance_add_up_to_the_definition() -> None:
    outcome = scored(ExplanationConsistency(), linear(signed()), pixels(low=0.0), Reading())
    assert outcome.parts["flipped"] == 0
    score, distance = outcome.score, outcome.parts["distance"]
    weight = outcome.parts["training_weight"]
    assert isinstance(score, float)
    assert isinstance(distance, float)
    assert isinstance(weight, float)
    assert 0 < score < 1
    assert score == 1 - distance
    assert weight == 1 - score
    assert outcome.parts["unflipped_consistency"] == score


def test_the_attack_is_fgsm_on_the_background_and_spares_the_foreground_bit_for_bit() -> None:
    weights, image = signed(), pixels(low=0.0)
    predictor = linear(weights)
    found = changed(predictor, image, ExplanationConsistency(epsilon=0.05))
    heat = image[0] - image[0].min()
    background = heat / heat.max() < 0.2
    assert np.array_equal(found[:, ~background], image[:, ~background])
    # the loss grows as the logit falls: against the sign of its gradient
    stepped = np.clip(image - np.float32(0.05) * np.sign(weights), 0, 1)
    np.testing.assert_allclose(found[:, background], stepped[:, background], atol=1e-7)


def test_the_attack_lowers_the_confidence_more_than_noise_of_the_same_size() -> None:
    predictor, image = linear(signed()), pixels(low=0.0)
    outcome = scored(ExplanationConsistency(), predictor, image, Reading())
    change = outcome.parts["confidence_change"]
    assert isinstance(change, float)
    assert change < 0
    heat = unit_scaled(image[0].astype(np.float64))
    assert heat is not None
    sample = sample_of(predictor, image)
    attacked = predictor._logits(changed(predictor, image, ExplanationConsistency()))[0]
    for index in range(5):
        noisy = random_attack(sample, Attack(heat < 0.2, 8 / 255, 1), index)
        assert not np.array_equal(noisy, image)
        assert predictor._logits(noisy)[0] > attacked


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999), st.floats(0, 0.3), st.integers(1, 12))
def test_attacks_stay_within_epsilon_and_the_unit_interval(
    seed: int, epsilon: float, steps: int
) -> None:
    rng = np.random.default_rng(seed)
    clean = rng.random((3, SIDE, SIDE)).astype(np.float32)
    background = rng.random((SIDE, SIDE)) < 0.5
    attack = Attack(background, epsilon, steps)
    moved = clean
    for _ in range(steps):
        direction = rng.choice(np.array([-1, 0, 1], np.float32), clean.shape)
        moved = attack.moved(clean, moved, direction, attack.stride)
    assert np.array_equal(moved[:, ~background], clean[:, ~background])
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert np.abs(moved - clean).max() <= epsilon + 1e-7  # float32


def test_many_steps_are_pgd_with_steps_of_two_and_a_half_shares() -> None:
    assert Attack(np.ones((1, 1), np.bool_), 0.1, 5).stride == pytest.approx(0.05)
    assert Attack(np.ones((1, 1), np.bool_), 0.1, 1).stride == 0.1


def test_pgd_on_a_linear_model_ends_where_fgsm_does() -> None:
    predictor, image = linear(signed()), pixels(low=0.3, high=0.7)
    one = changed(predictor, image, ExplanationConsistency(epsilon=0.02))
    predictor.batches.clear()
    scored(ExplanationConsistency(epsilon=0.02, steps=5), predictor, image, Reading())
    rows = np.concatenate(predictor.batches)
    assert any(np.allclose(row, one, atol=1e-7) for row in rows)


def test_the_share_of_the_background_is_reported() -> None:
    image = pixels(low=0.0)
    heat = image[0] - image[0].min()
    expected = float((heat / heat.max() < 0.4).mean())
    outcome = scored(ExplanationConsistency(threshold=0.4), linear(signed()), image, Reading())
    assert outcome.parts["background_share"] == expected


def test_a_constant_map_of_the_clean_image_is_degenerate() -> None:
    predictor = linear(signed())
    case = case_of(predictor, pixels(), -np.ones((SIDE, SIDE)), explainer=Reading())
    outcome = ask(ExplanationConsistency().score(case), predictor)
    assert isinstance(outcome.score, Undefined)
    assert outcome.score.reason is Reason.DEGENERATE


def test_a_gradient_of_zero_on_the_background_has_a_status() -> None:
    image = pixels(low=0.0)
    heat = image[0] - image[0].min()
    foreground_only = signed() * (heat / heat.max() >= 0.2)
    outcome = scored(ExplanationConsistency(), linear(foreground_only), image, Reading())
    assert isinstance(outcome.score, Undefined)
    assert outcome.score.reason is Reason.NO_GRADIENT


@pytest.mark.parametrize(("hidden", "is_scored"), [(51, False), (52, True)])
def test_a_background_under_a_twentieth_of_the_image_is_none(hidden: int, is_scored: bool) -> None:
    attribution = np.ones(SIDE * SIDE)
    attribution[:hidden] = 0.1
    predictor = linear(signed())
    case = case_of(predictor, pixels(), attribution.reshape(SIDE, SIDE), explainer=Reading())
    outcome = ask(ExplanationConsistency().score(case), predictor)
    assert outcome.parts["background_share"] == hidden / SIDE**2
    assert isinstance(outcome.score, float) == is_scored
    if isinstance(outcome.score, Undefined):
        assert outcome.score.reason is Reason.NO_BACKGROUND


OBJECT = np.zeros((SIDE, SIDE), np.bool_)
OBJECT[8:24, 4:20] = True


def attacked_outside(background: Background, mask: np.ndarray | None) -> tuple[Outcome, np.ndarray]:
    """The outcome, and the pixels that the attack changed."""
    predictor, image = linear(signed()), pixels(low=0.1, high=0.9)
    case = case_of(predictor, image, image[0], explainer=Reading(), object_mask=mask)
    predictor.batches.clear()
    metric = ExplanationConsistency(background=background, epsilon=1e-3)
    outcome = ask(metric.score(case), predictor)
    rows = [row for batch in predictor.batches for row in batch]
    moved = [row != image for row in rows if not np.array_equal(row, image)]
    changed: np.ndarray = moved[0].any(axis=0) if moved else np.zeros((SIDE, SIDE), np.bool_)
    return outcome, changed


@pytest.mark.parametrize("background", [Background.OBJECT, Background.AUTO])
def test_with_a_mask_all_but_the_object_is_attacked(background: Background) -> None:
    outcome, changed = attacked_outside(background, OBJECT)
    assert isinstance(outcome.score, float)
    assert np.array_equal(changed, ~OBJECT)
    assert outcome.parts["background_share"] == (~OBJECT).mean()


def test_the_maps_background_does_not_read_the_mask() -> None:
    _, changed = attacked_outside(Background.MAP, OBJECT)
    assert np.array_equal(changed, attacked_outside(Background.MAP, None)[1])
    assert (changed & OBJECT).any()


@pytest.mark.parametrize("mask", [None, np.zeros((SIDE, SIDE), np.bool_)])
def test_without_an_object_there_is_no_outside(mask: np.ndarray | None) -> None:
    outcome, changed = attacked_outside(Background.OBJECT, mask)
    assert isinstance(outcome.score, Undefined)
    assert outcome.score.reason is Reason.NO_OBJECT
    assert not changed.any()


def test_an_object_that_fills_the_image_leaves_no_background() -> None:
    outcome, _ = attacked_outside(Background.OBJECT, np.ones((SIDE, SIDE), np.bool_))
    assert isinstance(outcome.score, Undefined)
    assert outcome.score.reason is Reason.NO_BACKGROUND


def test_every_part_is_there_whatever_comes_of_the_score() -> None:
    names = ExplanationConsistency().part_reductions.keys()
    outcomes = [
        scored(ExplanationConsistency(), linear(signed()), pixels(low=0.0), Reading()),
        attacked_outside(Background.OBJECT, None)[0],
        attacked_outside(Background.OBJECT, np.ones((SIDE, SIDE), np.bool_))[0],
        ask(
            ExplanationConsistency().score(
                case_of(linear(signed()), pixels(), np.ones((SIDE, SIDE)), explainer=Reading())
            ),
            linear(signed()),
        ),
    ]
    assert all(outcome.parts.keys() == names for outcome in outcomes)


def test_a_model_that_reads_the_background_is_less_consistent_than_one_that_does_not() -> None:
    # The order that the background by the map gets wrong where the maps are diffuse.
    image = pixels(low=0.1, high=0.9)
    scores = []
    for weights in (signed() * OBJECT, signed() * (OBJECT * 0.3 + ~OBJECT)):
        predictor = linear(weights)
        made = ask(Saliency().explain(sample_of(predictor, image)), predictor)
        assert not isinstance(made, Undefined)
        case = case_of(predictor, image, made, explainer=Saliency(), object_mask=OBJECT)
        outcome = ask(ExplanationConsistency(epsilon=0.05).score(case), predictor)
        scores.append(outcome)
    blind, reading = scores
    assert isinstance(blind.score, Undefined)
    assert blind.score.reason is Reason.NO_GRADIENT  # nothing outside the object matters to it
    assert isinstance(reading.score, float)
    change = reading.parts["confidence_change"]
    assert isinstance(change, float)
    assert change < 0


INVENTORIES = {
    True: Inventory.of([KnownImage("a"), KnownImage("b", has_object=True)]),
    False: Inventory.of([KnownImage("a"), KnownImage("b")]),
}


@pytest.mark.parametrize("masked", [True, False])
def test_an_open_background_is_decided_by_the_masks_for_all_images(masked: bool) -> None:
    decided = Background.OBJECT if masked else Background.MAP
    metric = ExplanationConsistency(steps=3)
    assert metric.resolved(INVENTORIES[masked]) == replace(metric, background=decided)
    for explicit in (Background.MAP, decided):
        stated = replace(metric, background=explicit)
        assert stated.resolved(INVENTORIES[masked]) == stated


def test_an_object_background_without_any_mask_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="none of 2 images") as caught:
        ExplanationConsistency(background=Background.OBJECT).resolved(INVENTORIES[False])
    assert caught.value.field == "background"


def test_a_result_answers_who_left_its_background_open_and_nobody_else() -> None:
    left_open = ExplanationConsistency(steps=3)
    given = replace(left_open, background=Background.OBJECT)
    assert is_answered_by(left_open, given)
    assert is_answered_by(given, given)
    assert not is_answered_by(given, left_open)
    assert not is_answered_by(left_open, replace(given, steps=2))
    assert not is_answered_by(replace(left_open, background=Background.MAP), given)
    assert not is_answered_by(left_open, Deletion())


def test_a_confident_model_is_still_attacked() -> None:
    # p rounds to 1 in float64; the direction must not vanish with 1 - p.
    predictor, image = linear(signed() + 0.05), pixels(low=0.3, high=0.7)
    assert sample_of(predictor, image).confidence == 1
    outcome = scored(ExplanationConsistency(), predictor, image, Reading())
    assert isinstance(outcome.score, float)


@pytest.mark.parametrize("seed", range(5))
def test_the_direction_is_that_of_the_cross_entropy(seed: int) -> None:
    logits = np.random.default_rng(seed).normal(size=6)
    shares = np.exp(logits) / np.exp(logits).sum()
    found = cross_entropy_gradient(shares, 2, "softmax").astype(np.float64)
    step = 1e-6

    def loss(at: np.ndarray) -> float:
        return float(np.log(np.exp(at).sum()) - at[2])

    slopes = np.array([(loss(logits + step * e) - loss(logits - step * e)) for e in np.eye(6)])
    slopes /= np.abs(slopes).max()
    np.testing.assert_allclose(found, slopes, atol=1e-6)


def test_sigmoid_models_are_attacked_at_their_target_alone() -> None:
    found = cross_entropy_gradient(np.array([0.3, 0.9]), 1, "sigmoid")
    assert found.tolist() == [0, -1]


def test_answers_that_are_not_finite_have_a_status() -> None:
    image = pixels(low=0.0)
    weights = signed()

    def logits(seen: np.ndarray) -> np.ndarray:
        value = (weights * seen).sum() if np.array_equal(seen, image) else np.nan
        return np.array([value, 0, 0])

    predictor = linear(weights)
    predictor._logits = logits
    outcome = scored(ExplanationConsistency(), predictor, image, Reading())
    assert isinstance(outcome.score, Undefined)
    assert outcome.score.reason is Reason.NOT_FINITE


@pytest.mark.parametrize("explainer", [Saliency(), Occlusion(16, 16)])
def test_maps_are_made_anew_by_the_explainer(explainer: Explainer) -> None:
    outcome = scored(ExplanationConsistency(), linear(signed()), pixels(low=0.0), explainer)
    assert isinstance(outcome.score, float)
    assert outcome.parts["control_random"] != 0


def test_a_blind_explainer_is_wholly_consistent() -> None:
    outcome = scored(ExplanationConsistency(), linear(signed()), pixels(low=0.0), Centre(sigma=0.1))
    assert outcome.score == 1


MAPS = [np.random.default_rng(seed).random((SIDE, SIDE)) for seed in range(3)]


@pytest.mark.parametrize("distance", list(Distance))
def test_distances_are_zero_on_equals_symmetric_and_in_the_unit_interval(
    distance: Distance,
) -> None:
    measure = DISTANCES[distance]
    for a in MAPS:
        assert measure(a, a) == pytest.approx(0, abs=1e-12)
        for b in MAPS:
            assert measure(a, b) == pytest.approx(measure(b, a), abs=1e-12)
            assert 0 <= measure(a, b) <= 1
    assert measure(MAPS[0], MAPS[1]) > 0.01


@pytest.mark.parametrize("distance", list(Distance))
def test_what_clipping_makes_equal_is_a_declared_atom(distance: Distance) -> None:
    rng = np.random.default_rng(0)
    first = rng.random((SIDE, SIDE)) < 0.5
    heights = rng.uniform(0.5, 1, (2, SIDE, SIDE))
    found = DISTANCES[distance](heights[0] * first, heights[1] * ~first)
    is_clipped = found == 1.0
    assert is_clipped is (distance is not Distance.MEAN_ABSOLUTE)
    parts = ExplanationConsistency(distance=distance).part_reductions
    assert parts["distance"].atoms == ((1.0,) if is_clipped else ())
    assert parts["unflipped_consistency"].atoms == ((0.0,) if is_clipped else ())


def test_distances_are_their_definitions_in_numpy() -> None:
    a, b = MAPS[:2]
    assert DISTANCES[Distance.MEAN_ABSOLUTE](a, b) == pytest.approx(np.abs(a - b).mean())
    cosine = np.vdot(a, b) / np.sqrt(np.vdot(a, a) * np.vdot(b, b))
    assert DISTANCES[Distance.COSINE](a, b) == pytest.approx(1 - cosine, abs=1e-12)
    pearson = np.corrcoef(a.ravel(), b.ravel())[0, 1]
    assert DISTANCES[Distance.PEARSON](a, b) == pytest.approx(np.clip(1 - pearson, 0, 1), abs=1e-12)
    assert DISTANCES[Distance.PEARSON](a, 1 - a) == 1


def test_structural_similarity_is_that_of_its_windows() -> None:
    a, b = MAPS[0], 0.6 * MAPS[0] + 0.4 * MAPS[1]
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(window, window) / window.sum() ** 2
    padded = [np.pad(values, 5, mode="symmetric") for values in (a, b)]
    found = []
    for row in range(SIDE):
        for column in range(SIDE):
            p, q = (values[row : row + 11, column : column + 11] for values in padded)
            mp, mq = (window * p).sum(), (window * q).sum()
            vp = (window * (p - mp) ** 2).sum()
            vq = (window * (q - mq) ** 2).sum()
            cov = (window * (p - mp) * (q - mq)).sum()
            c1, c2 = 1e-4, 9e-4
            luminance = (2 * mp * mq + c1) / (mp**2 + mq**2 + c1)
            found.append(luminance * (2 * cov + c2) / (vp + vq + c2))
    assert DISTANCES[Distance.SSIM](a, b) == pytest.approx(1 - np.mean(found), abs=1e-10)


ROUNDED = np.array([[0.1 + 0.2, 0.3], [0.3, 0.3]])


@pytest.mark.parametrize(
    "values", [np.zeros((2, 2)), np.full((2, 2), 3.0), -np.ones((2, 2)), ROUNDED, 1e-300 * ROUNDED]
)
def test_constant_maps_cannot_be_scaled(values: np.ndarray) -> None:
    assert unit_scaled(values) is None


def test_small_differences_beyond_rounding_are_scaled() -> None:
    found = unit_scaled(np.array([[1.0, 1.0 + 2.0**-28], [1.0, 1.0 + 2.0**-29]]))
    assert found is not None
    assert found.tolist() == [[0, 1], [0, 0.5]]


def test_scaling_clips_negatives_and_reaches_both_ends() -> None:
    found = unit_scaled(np.array([[-5.0, 0.0], [1.0, 4.0]]))
    assert found is not None
    assert found.tolist() == [[0, 0], [0.25, 1]]


def test_costs_grow_with_steps_and_controls() -> None:
    setting = planned(facts(), None, Saliency())
    base = ExplanationConsistency()
    assert base.cost(setting) == Cost(views=1 + 4, gradients=1, explanations=4)
    assert replace(base, steps=3, controls=1).cost(setting) == Cost(3 + 2, 3, 2)
