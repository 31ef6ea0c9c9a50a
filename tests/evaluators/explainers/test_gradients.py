"""Gradient explainers on models whose gradients are known."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.donors import donors_read
from heatproof.evaluators.evaluation.engine import explain
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import (
    Deconvnet,
    Explainer,
    GradientShap,
    GuidedBackprop,
    InputXGradient,
    Saliency,
    SmoothGrad,
    VarGrad,
)
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import DonorImage, SourceImage
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.queries.passes import IMAGE, BackwardRules, ModelPass
from heatproof.evaluators.queries.predictor import Answers, Batch
from heatproof.evaluators.queries.procedure import together
from heatproof.evaluators.queries.seeds import generator
from heatproof.evaluators.registry.registry import reads_donors
from heatproof.evaluators.removal import Black, Donor, Grey, Layer, RemovalOperator
from tests.evaluators.toys import SIDE, ToyPredictor, ask, bound, facts, linear, pixels, sample_of

WEIGHTS = np.random.default_rng(0).uniform(-2e-3, 6e-3, (3, SIDE, SIDE))
NOTHING = np.zeros((SIDE, SIDE), np.bool_)


def square() -> ToyPredictor:
    """Logit 0 is `sum(w x^2) / 2`, whose gradient is `w x`."""

    def jacobian(image: np.ndarray) -> np.ndarray:
        full = np.zeros((3, *image.shape))
        full[0] = WEIGHTS * image
        return full

    def logits(image: np.ndarray) -> np.ndarray:
        return np.array([(WEIGHTS * np.square(image.astype(np.float64))).sum() / 2, 0, 0])

    return ToyPredictor(logits, jacobian=jacobian)


def made(explainer: Explainer, predictor: ToyPredictor, image: np.ndarray) -> np.ndarray:
    explainer.check(predictor.facts)
    found = ask(explainer.explain(sample_of(predictor, image)), predictor)
    assert not isinstance(found, Undefined)
    assert found.shape == (SIDE, SIDE)
    assert found.dtype == np.float64
    return found


def noisy(image: np.ndarray, noise: float, samples: int) -> np.ndarray:
    """The images with noise, drawn by hand."""
    sample = sample_of(square(), image)
    spread = np.float32(noise * float(image.max() - image.min()))
    draws = [
        sample.rng(f"noise/{k}").standard_normal(image.shape, np.float32) for k in range(samples)
    ]
    return np.stack([image + spread * draw for draw in draws])


def test_smooth_grad_of_a_linear_model_is_saliency_to_the_bit() -> None:
    image = pixels()
    plain = made(Saliency(), linear(WEIGHTS), image)
    assert np.array_equal(made(SmoothGrad(samples=7), linear(WEIGHTS), image), plain)


def test_var_grad_of_a_linear_model_is_zero_to_the_bit() -> None:
    assert (made(VarGrad(samples=7), linear(WEIGHTS), pixels()) == 0).all()


@pytest.mark.parametrize("samples", [5, 40])  # 40: more than one chunk
def test_noisy_gradients_are_summed_up_as_written(samples: int) -> None:
    image = pixels()
    gradients = (WEIGHTS * noisy(image, 0.3, samples)).astype(np.float32).astype(np.float64)
    plain = made(SmoothGrad(samples, noise=0.3), square(), image)
    np.testing.assert_allclose(plain, np.abs(gradients.mean(axis=0)).max(axis=0), rtol=1e-12)
    squares = made(SmoothGrad(samples, noise=0.3, squared=True), square(), image)
    np.testing.assert_allclose(squares, np.square(gradients).mean(axis=0).sum(axis=0), rtol=1e-10)
    varied = made(VarGrad(samples, noise=0.3), square(), image)
    np.testing.assert_allclose(varied, gradients.var(axis=0).sum(axis=0), rtol=1e-9)


def test_noise_is_not_clipped_and_grows_with_the_range_of_the_image() -> None:
    predictor, image = square(), pixels(low=0.0)
    image[0, 0, 0], image[0, 0, 1] = 0, 1
    sample = sample_of(predictor, image)
    predictor.batches.clear()
    ask(SmoothGrad(samples=8, noise=0.5).explain(sample), predictor)
    seen = np.concatenate(predictor.batches)[:8]
    assert seen.min() < 0
    assert seen.max() > 1
    assert abs((seen - image).std() - 0.5) < 0.02  # 24,576 draws
    flat = np.full_like(image, 0.5)
    assert np.array_equal(made(SmoothGrad(4), square(), flat), made(Saliency(), square(), flat))


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12))
def test_more_samples_keep_those_that_were_drawn(few: int, more: int) -> None:
    # mean over n + m draws = (n mean of the first n + m mean of the rest) / (n + m)
    image, sample = pixels(), sample_of(square(), pixels())
    several = noisy(image, 0.15, few + more)
    own = ask(SmoothGrad(few + more).moments(sample), square()).mean
    first = ask(SmoothGrad(few).moments(sample), square()).mean
    rest = (WEIGHTS * several[few:]).astype(np.float32).astype(np.float64).sum(axis=0)
    np.testing.assert_allclose(own * (few + more), first * few + rest, rtol=1e-9, atol=1e-15)


def test_smooth_grad_and_var_grad_share_every_gradient() -> None:
    predictor = square()
    sample = sample_of(predictor, pixels())
    predictor.batches.clear()
    both = [SmoothGrad(40).explain(sample), VarGrad(40).explain(sample)]
    ask(together(both), predictor)
    assert len(predictor.batches) == 10  # of four rows


@pytest.mark.parametrize("baseline", [Black(), Grey()])
def test_input_x_gradient_is_the_difference_times_the_gradient(baseline: RemovalOperator) -> None:
    image = pixels()
    start = bound(baseline, image)(NOTHING)
    expected = ((image.astype(np.float64) - start) * WEIGHTS * image).sum(axis=0)
    found = made(InputXGradient(baseline), square(), image)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)


def test_input_x_gradient_of_a_linear_model_over_black_is_weight_times_pixel() -> None:
    image = pixels()
    found = made(InputXGradient(), linear(WEIGHTS), image)
    np.testing.assert_allclose(found, (WEIGHTS * image).sum(axis=0), rtol=1e-5, atol=1e-9)


class Recording(ToyPredictor):
    """Writes down by which rules it was differentiated."""

    rules: tuple[BackwardRules, ...] = ()

    def answers(self, run: ModelPass, batch: Batch) -> Answers:
        if run.wrt == IMAGE:
            self.rules = (*self.rules, run.rules)
        return super().answers(run, batch)


@pytest.mark.parametrize("explainer", [GuidedBackprop(), Deconvnet(), Saliency()])
def test_rectified_gradients_ask_by_their_rules(explainer: Explainer) -> None:
    plain = linear(WEIGHTS)
    predictor = Recording(plain._logits, jacobian=plain._jacobian)
    found = made(explainer, predictor, pixels())
    np.testing.assert_array_equal(found, made(Saliency(), linear(WEIGHTS), pixels()))
    rules = getattr(explainer, "rules", BackwardRules.EXACT)
    assert predictor.rules == (rules,)
    (run,) = explainer.passes(predictor.facts)
    assert run.rules is rules


def source(seed: int, donors: int) -> SourceImage:
    """A picture, and the others that it is handed."""
    others = tuple(DonorImage(f"{k:064x}", partial(drawing, k)) for k in range(1, donors + 1))
    return SourceImage(f"{seed:064x}", "x", drawing(seed), donors=others)


def drawing(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def planar(drawn: np.ndarray) -> np.ndarray:
    return (drawn / 255).transpose(2, 0, 1)


def shap_of(explainer: GradientShap, image: SourceImage, predictor: ToyPredictor) -> np.ndarray:
    spec = EvaluationSpec(
        models=("models/toy",),
        preprocessing=PRESETS["unit"],
        metrics=(),
        explainers=(explainer,),
        removals=(),
    )
    (found,) = explain(spec, [image], predictor)
    assert not isinstance(found.values, Undefined)
    return found.values


def test_gradient_shap_of_a_linear_model_is_weight_times_the_difference_from_the_mean() -> None:
    found = shap_of(GradientShap(samples=6), source(0, 6), linear(WEIGHTS))
    mean = np.mean([planar(drawing(k)) for k in range(1, 7)], axis=0)
    expected = (WEIGHTS * (planar(drawing(0)) - mean)).sum(axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("samples", [3, 35])  # 35: more than one chunk, and than donors are kept
def test_gradient_shap_is_the_mean_over_its_points(samples: int) -> None:
    image = source(0, samples)
    found = shap_of(GradientShap(samples), image, square())
    x = planar(image.pixels)
    total = np.zeros((SIDE, SIDE))
    for k in range(samples):
        b, u = planar(drawing(k + 1)), generator_of(image, f"point/{k}").random()
        total += ((x - b) * WEIGHTS * (b + u * (x - b))).sum(axis=0)
    np.testing.assert_allclose(found, total / samples, rtol=1e-4, atol=1e-8)


def generator_of(image: SourceImage, purpose: str) -> np.random.Generator:
    return generator(0, image.digest, purpose)


def test_gradient_shap_with_noise_starts_from_the_noisy_image() -> None:
    image = source(0, 2)
    found = shap_of(GradientShap(2, noise=0.2), image, linear(WEIGHTS))
    x = planar(image.pixels)
    total = np.zeros((SIDE, SIDE))
    for k in range(2):
        noise = generator_of(image, f"noise/{k}").standard_normal(x.shape, np.float32)
        end = x + 0.2 * (x.max() - x.min()) * noise
        total += (WEIGHTS * (end - planar(drawing(k + 1)))).sum(axis=0)
    np.testing.assert_allclose(found, total / 2, rtol=1e-4, atol=1e-8)


def test_gradient_shap_reads_donors_unless_its_baseline_is_another_operator() -> None:
    assert donors_read([GradientShap(samples=7)]) == 7
    assert donors_read([GradientShap(samples=7, baseline=Black()), Saliency()]) == 0
    assert not reads_donors(GradientShap(baseline=Grey()))
    found = made(GradientShap(samples=5, baseline=Black()), linear(WEIGHTS), pixels())
    np.testing.assert_allclose(found, (WEIGHTS * pixels()).sum(axis=0), rtol=1e-4, atol=1e-8)
    assert GradientShap().baseline == Donor()


def test_gradient_shap_of_one_image_alone_has_a_status() -> None:
    spec = EvaluationSpec(
        models=("models/toy",),
        preprocessing=PRESETS["unit"],
        metrics=(),
        explainers=(GradientShap(),),
        removals=(),
    )
    (found,) = explain(spec, [source(0, 0)], linear(WEIGHTS))
    assert isinstance(found.values, Undefined)
    assert found.values.reason is Reason.NO_DONOR


@pytest.mark.parametrize(
    "explainer", [InputXGradient(baseline=Layer()), GradientShap(baseline=Layer())]
)
def test_a_baseline_without_pixels_is_refused(explainer: Explainer) -> None:
    with pytest.raises(InvalidArgumentError, match="pixel operator") as caught:
        explainer.check(facts())
    assert caught.value.field == "baseline"
