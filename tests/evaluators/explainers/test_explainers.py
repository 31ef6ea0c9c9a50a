from dataclasses import replace

import numpy as np
import pytest

from heatproof.evaluators.errors import InvalidArgumentError, UnknownNameError
from heatproof.evaluators.explainers import (
    Centre,
    Explainer,
    GradCam,
    IntegratedGradients,
    Occlusion,
    Random,
    Rise,
    Saliency,
    Supplied,
)
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.queries.procedure import Gradient, LazyImage, Prediction
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.queries.targets import FixedClass
from heatproof.evaluators.removal import Black, Grey, Layer, RemovalOperator, White
from tests.evaluators.toys import (
    SIDE,
    ToyPredictor,
    ask,
    bound,
    facts,
    features,
    linear,
    pixels,
    sample_of,
    softmax,
)


def weights(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-2e-3, 6e-3, (3, SIDE, SIDE))


def explained(explainer: Explainer, predictor: ToyPredictor, image: np.ndarray) -> np.ndarray:
    return explained_sample(explainer, predictor, sample_of(predictor, image))


def explained_sample(explainer: Explainer, predictor: ToyPredictor, sample: Sample) -> np.ndarray:
    explainer.check(predictor.facts)
    made = ask(explainer.explain(sample), predictor)
    assert not isinstance(made, Undefined)
    assert made.shape == (SIDE, SIDE)
    assert made.dtype == np.float64
    return made


def probability(predictor: ToyPredictor, image: np.ndarray) -> float:
    return float(softmax(predictor._logits(image).astype(np.float32))[0])


def test_random_draws_one_number_a_cell_anew_for_every_image_and_seed() -> None:
    predictor = linear(weights())
    made = explained(Random(grid=4), predictor, pixels(0))
    assert np.array_equal(made, np.kron(made[::8, ::8], np.ones((8, 8))))
    assert len(np.unique(made)) == 16
    assert not np.array_equal(made, explained(Random(grid=4), predictor, pixels(1)))
    reseeded = explained_sample(Random(4), predictor, sample_of(predictor, pixels(0), seed=1))
    assert not np.array_equal(made, reseeded)


def test_random_is_the_same_for_all_models_but_not_for_a_perturbed_image() -> None:
    one, other = linear(weights(0)), linear(weights(1))
    assert np.array_equal(explained(Random(), one, pixels()), explained(Random(), other, pixels()))
    sample = sample_of(one, pixels())
    moved = sample.moved(LazyImage.of(pixels(7)))
    anew = explained_sample(Random(), one, moved)
    assert not np.array_equal(explained_sample(Random(), one, sample), anew)


@pytest.mark.parametrize("sigma", [0.1, 0.25, 2.0])
def test_centre_is_a_gaussian_in_units_of_the_side(sigma: float) -> None:
    made = explained(Centre(sigma=sigma), linear(weights()), pixels())
    positions = (np.arange(SIDE) + 0.5) / SIDE - 0.5
    squares = positions[:, None] ** 2 + positions[None, :] ** 2
    np.testing.assert_allclose(made, np.exp(-squares / (2 * sigma**2)), rtol=1e-12)


def test_supplied_takes_the_map_of_its_name_or_says_that_there_is_none() -> None:
    predictor = linear(weights())
    sample = sample_of(predictor, pixels(), own=np.arange(1024.0).reshape(SIDE, SIDE))
    assert np.array_equal(explained_sample(Supplied("own"), predictor, sample), sample.maps["own"])
    missing = ask(Supplied("other").explain(sample), predictor)
    assert isinstance(missing, Undefined)
    assert missing.reason is Reason.NO_MAP
    assert "other" in missing.detail


@pytest.mark.parametrize(("patch", "stride"), [(8, 8), (8, 4), (12, 7), (32, 16), (5, 5)])
@pytest.mark.parametrize("removal", [Black(), White()])
def test_occlusion_is_the_mean_drop_over_the_covering_patches(
    patch: int, stride: int, removal: RemovalOperator
) -> None:
    predictor, image = linear(weights()), pixels()
    made = explained(Occlusion(patch, stride, removal), predictor, image)
    starts = sorted({*range(0, SIDE - patch, stride), SIDE - patch})
    drops: list[list[list[float]]] = [[[] for _ in range(SIDE)] for _ in range(SIDE)]
    for top in starts:
        for left in starts:
            shown = image.copy()
            shown[:, top : top + patch, left : left + patch] = float(isinstance(removal, White))
            drop = probability(predictor, image) - probability(predictor, shown)
            for row in range(top, top + patch):
                for column in range(left, left + patch):
                    drops[row][column].append(drop)
    expected = [[np.mean(found) for found in row] for row in drops]
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-14)
    assert Occlusion(patch, stride).cost(predictor.facts) == len(starts) ** 2


def test_occlusion_hides_inside_the_network_if_asked_to() -> None:
    predictor = linear(weights())
    made = explained(Occlusion(8, 8, Layer()), predictor, pixels())
    # the toy's masked form paints black
    assert np.array_equal(made, explained(Occlusion(8, 8), predictor, pixels()))
    assert predictor.masks


@pytest.mark.parametrize(
    ("explainer", "field"), [(Occlusion(33), "patch"), (Occlusion(8, 9), "stride")]
)
def test_patches_that_do_not_fit_are_refused(explainer: Occlusion, field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        explainer.check(facts())
    assert caught.value.field == field


def test_rise_finds_the_spot_that_a_model_reads() -> None:
    predictor = ToyPredictor(lambda image: np.array([6 * image[:, 20:24, 4:8].mean(), 0, 0]))
    made = explained(Rise(masks=600, grid=8), predictor, np.ones((3, SIDE, SIDE), np.float32))
    row, column = np.unravel_index(made.argmax(), made.shape)
    assert abs(int(row) - 22) <= 4
    assert abs(int(column) - 6) <= 4


def test_rise_of_a_constant_model_is_its_probability_everywhere() -> None:
    # E[M] = p at every pixel, so the map estimates s(x), with a standard error of
    # s sqrt(var(M) / n) / p <= .35 sqrt(.25 / 2000) / .5 = .008 at each pixel.
    predictor = ToyPredictor(lambda image: np.array([0.1, 0, 0]) + 0 * image.sum())
    made = explained(Rise(masks=2000, grid=4), predictor, pixels())
    expected = softmax(np.array([0.1, 0, 0], np.float32))[0]
    np.testing.assert_allclose(made, expected, atol=0.04)


@pytest.mark.parametrize("share", [0.2, 0.8])
def test_rise_is_the_weighted_sum_of_the_masks_that_the_model_saw(share: float) -> None:
    predictor, image = linear(weights()), np.ones((3, SIDE, SIDE), np.float32)
    sample = sample_of(predictor, image)
    predictor.batches.clear()
    made = explained_sample(Rise(40, 5, share), predictor, sample)
    # on a white image the pictures are the masks themselves
    masks = np.concatenate(predictor.batches)[:40, 0].astype(np.float64)
    scores = [probability(predictor, np.stack([mask] * 3).astype(np.float32)) for mask in masks]
    expected = np.tensordot(scores, masks, axes=1) / (40 * share)
    np.testing.assert_allclose(made, expected, rtol=1e-12)
    assert masks.min() >= 0
    assert masks.max() <= 1
    assert len(np.unique(masks)) > 10  # smooth, not binary


def test_rise_shows_every_image_and_model_the_same_masks() -> None:
    white = np.ones((3, SIDE, SIDE), np.float32)
    seen = []
    for seed in (0, 1):
        predictor = linear(weights(seed))
        sample = sample_of(predictor, white)
        predictor.batches.clear()
        explained_sample(Rise(8, 5), predictor, sample)
        seen.append(np.concatenate(predictor.batches))
    assert np.array_equal(seen[0], seen[1])


def test_saliency_of_a_linear_model_is_its_largest_absolute_weight() -> None:
    made = explained(Saliency(), linear(weights()), pixels())
    expected = np.abs(weights().astype(np.float32)).max(axis=0)
    np.testing.assert_allclose(made, expected, rtol=1e-7)


@pytest.mark.parametrize("baseline", [Black(), Grey()])
def test_integrated_gradients_of_a_linear_model_are_weight_times_difference(
    baseline: RemovalOperator,
) -> None:
    image = pixels()
    made = explained(IntegratedGradients(steps=3, baseline=baseline), linear(weights()), image)
    start = bound(baseline, image)(np.zeros((SIDE, SIDE), np.bool_))
    expected = (weights() * (image.astype(np.float64) - start)).sum(axis=0)
    np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-8)


def test_integrated_gradients_of_a_square_follow_the_midpoint_rule_to_the_full_change() -> None:
    # z = sum(x^2): the gradient is linear in the path, so midpoints are exact: the map is x^2.
    def jacobian(image: np.ndarray) -> np.ndarray:
        full = np.zeros((3, *image.shape))
        full[0] = 2 * image
        return full

    def logits(image: np.ndarray) -> np.ndarray:
        return np.array([np.square(image.astype(np.float64)).sum(), 0, 0])

    predictor, image = ToyPredictor(logits, jacobian=jacobian), pixels()
    for steps in (1, 4, 33):  # 33: more than one chunk
        made = explained(IntegratedGradients(steps=steps), predictor, image)
        expected = np.square(image.astype(np.float64)).sum(axis=0)
        np.testing.assert_allclose(made, expected, rtol=1e-5)


def test_integrated_gradients_ask_along_the_path_at_the_midpoints() -> None:
    seen: list[float] = []

    def jacobian(image: np.ndarray) -> np.ndarray:
        seen.append(float(image[0, 0, 0]))
        return np.zeros((3, *image.shape))

    predictor = ToyPredictor(lambda image: np.array([image.sum(), 0, 0]), jacobian=jacobian)
    explained(IntegratedGradients(steps=4), predictor, np.ones((3, SIDE, SIDE), np.float32))
    assert seen == [0.125, 0.375, 0.625, 0.875]


def test_integrated_gradients_refuse_a_baseline_without_pixels() -> None:
    with pytest.raises(InvalidArgumentError, match="pixel operator") as caught:
        IntegratedGradients(baseline=Layer()).check(facts())
    assert caught.value.field == "baseline"


def test_grad_cam_is_the_positive_part_of_the_weighted_activations() -> None:
    # z = sum_k a_k sum(A_k) has the gradient a_k at every cell of A_k.
    channel_weights = np.array([0.3, -0.31, 0.02])

    def jacobian(_: np.ndarray) -> np.ndarray:
        full = np.zeros((3, 3, SIDE // 8, SIDE // 8))
        full[0] = channel_weights[:, None, None]
        return full

    def logits(image: np.ndarray) -> np.ndarray:
        means = features(image[None])[0].sum(axis=(1, 2))
        return np.array([(channel_weights * means).sum(), 0, 0])

    image = pixels(low=0.0)
    predictor = ToyPredictor(logits, jacobian=jacobian)
    made = explained(GradCam(), predictor, image)
    coarse = np.maximum(np.tensordot(channel_weights, features(image[None])[0], axes=1), 0)
    assert 0 < (coarse > 0).mean() < 1
    # half-pixel bilinear magnification by 8: pixel 8 i + 3.5 lies on cell i, clamped at the border
    positions = np.clip((np.arange(SIDE) + 0.5) / 8 - 0.5, 0, SIDE // 8 - 1)
    low = np.floor(positions).astype(int)
    high, part = np.minimum(low + 1, SIDE // 8 - 1), positions - low
    rows = coarse[low] * (1 - part)[:, None] + coarse[high] * part[:, None]
    expected = rows[:, low] * (1 - part) + rows[:, high] * part
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-6)


def test_grad_cam_needs_a_tensor() -> None:
    with pytest.raises(InvalidArgumentError, match="set tensor") as caught:
        GradCam().check(facts(cam_tensor=""))
    assert caught.value.field == "tensor"
    GradCam("conv5").check(facts(cam_tensor=""))


def test_grad_cam_refuses_a_tensor_that_the_model_lacks() -> None:
    known = replace(facts(), tensors=frozenset({"conv4", "conv5", "logits"}))
    GradCam("conv4").check(known)
    GradCam().check(known)
    with pytest.raises(UnknownNameError, match="did you mean 'conv5' or 'conv4'") as caught:
        GradCam("conv55").check(known)
    assert caught.value.field == "tensor"


def test_grad_cam_refuses_a_tensor_that_is_not_spatial() -> None:
    predictor = linear(weights())
    sample = sample_of(predictor, pixels())
    procedure = GradCam("vector").explain(sample)
    next(procedure)
    flat = np.ones(7, np.float32)
    with pytest.raises(InvalidArgumentError, match=r"'vector' has the shape \(7,\)"):
        procedure.send([Gradient(flat, flat)])


def test_maps_are_made_for_the_target_and_not_for_the_top_class() -> None:
    predictor = linear(weights())
    sample = sample_of(predictor, pixels())
    object.__setattr__(sample, "target", FixedClass(1))
    assert (explained_sample(Saliency(), predictor, sample) == 0).all()
    occluded = explained_sample(Occlusion(8, 8), predictor, sample)
    clean = sample.clean
    assert isinstance(clean, Prediction)
    assert occluded.mean() < 0  # removing what speaks for class 0 speaks for class 1
