"""Class activation maps against their formulas, written out, on tensors that are given."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from heatproof.evaluators.errors import InvalidArgumentError, UnknownNameError
from heatproof.evaluators.explainers import (
    AblationCam,
    EigenCam,
    Explainer,
    GradCam,
    GradCamPlusPlus,
    HiresCam,
    LayerCam,
    ScoreCam,
    XgradCam,
)
from heatproof.evaluators.explainers.cam.channel_scores import MOST_CHANNELS, most_varied
from heatproof.evaluators.explainers.cam.gradient_map import GradientMap
from heatproof.evaluators.explainers.cam.tensor_map import TensorMap
from heatproof.evaluators.images.frames import stretched
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.procedure import (
    Answer,
    Gradient,
    GradientView,
    Prediction,
    Query,
)
from heatproof.evaluators.queries.targets import FixedClass
from heatproof.evaluators.removal import Black, Grey, Layer, RemovalOperator
from tests.evaluators.toys import (
    SIDE,
    ToyPredictor,
    answer,
    ask,
    bound,
    facts,
    features,
    linear,
    pixels,
    sample_of,
    softmax,
)

EVERY = (
    AblationCam, EigenCam, GradCam, GradCamPlusPlus, HiresCam, LayerCam, ScoreCam, XgradCam,
)  # fmt: skip
TENSORS = npst.arrays(np.float32, (4, 3, 2), elements=st.floats(-3, 3, width=32))


def grad_cam(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    return sum(g[k].mean() * a[k] for k in range(len(a)))


def plus_plus(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    """From the published alpha, g^2 / (2 g^2 + sum(a) g^3), cell by cell."""
    total = np.zeros(a.shape[1:])
    for k in range(len(a)):
        weight = 0.0
        for slope in g[k].reshape(-1):
            divisor = 2 + a[k].sum() * slope
            if slope > 0 and divisor > 1e-12:
                alpha = slope**2 / (slope**2 * divisor)
                weight += alpha * slope
        total += weight * a[k]
    return total


def hires(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    return np.asarray((g * a).sum(axis=0))


def layer(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    return np.asarray((g * (g > 0) * a).sum(axis=0))


def xgrad(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    total = np.zeros(a.shape[1:])
    for k in range(len(a)):
        if abs(a[k].sum()) > 1e-12:
            total += (g[k] * a[k] / a[k].sum()).sum() * a[k]
    return total


READINGS: list[tuple[GradientMap, Callable[[np.ndarray, np.ndarray], np.ndarray]]] = [
    (GradCam(), grad_cam),
    (GradCamPlusPlus(), plus_plus),
    (HiresCam(), hires),
    (LayerCam(), layer),
    (XgradCam(), xgrad),
]


def close(found: np.ndarray, expected: np.ndarray) -> None:
    scale = max(np.abs(expected).max(), 1e-3)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9 * scale)


@pytest.mark.parametrize(
    ("explainer", "reading"), READINGS, ids=lambda one: getattr(one, "name", "")
)
@settings(max_examples=40, deadline=None)
@given(TENSORS, TENSORS)
def test_gradients_are_combined_as_published(
    explainer: GradientMap,
    reading: Callable[[np.ndarray, np.ndarray], np.ndarray],
    a: np.ndarray,
    g: np.ndarray,
) -> None:
    divisors = 2 + a.sum(axis=(1, 2), dtype=np.float64, keepdims=True) * g
    near_pole = isinstance(explainer, GradCamPlusPlus) and (np.abs(divisors) < 1e-6).any()
    near_zero = isinstance(explainer, XgradCam) and (np.abs(a.sum(axis=(1, 2))) < 1e-6).any()
    if not near_pole and not near_zero:
        close(explainer.combined(a, g), reading(a.astype(np.float64), g.astype(np.float64)))


def test_a_channel_that_sums_to_zero_has_no_weight() -> None:
    a = np.array([[[1, -1]], [[1, 1]]], np.float32)
    g = np.array([[[1, 0]], [[0.5, 0.5]]], np.float32)
    np.testing.assert_allclose(XgradCam().combined(a, g), 0.5 * a[1])


def test_a_cell_at_or_beyond_the_pole_counts_nothing() -> None:
    a = np.full((1, 1, 2), -1, np.float32)
    at = np.array([[[1, 0.5]]], np.float32)  # divisors 0 and 1
    np.testing.assert_allclose(GradCamPlusPlus().combined(a, at), 0.5 * a[0])
    beyond = np.array([[[2, 0.5]]], np.float32)  # -2 and 1
    np.testing.assert_allclose(GradCamPlusPlus().combined(a, beyond), 0.5 * a[0])


@pytest.mark.parametrize("explainer", [one for one, _ in READINGS], ids=lambda one: one.name)
@pytest.mark.parametrize("spoilt", ["activation", "gradient"])
def test_what_is_not_finite_stays_so(explainer: GradientMap, spoilt: str) -> None:
    a, g = np.ones((2, 2, 2), np.float32), np.ones((2, 2, 2), np.float32)
    (a if spoilt == "activation" else g)[0, 0, 0] = np.nan
    assert np.isnan(explainer.combined(a, g)).any()


CHANNEL_WEIGHTS = np.array([0.9, -0.5, 0.4])


def head_on_features() -> ToyPredictor:
    """Logit 0 is a linear function of the features, cell by cell."""
    cells = np.random.default_rng(4).normal(size=(3, SIDE // 8, SIDE // 8))

    def jacobian(_: np.ndarray) -> np.ndarray:
        full = np.zeros((3, *cells.shape))
        full[0] = cells
        return full

    def logits(image: np.ndarray) -> np.ndarray:
        return np.array([(cells * features(image[None])[0]).sum(), 0, 0])

    return ToyPredictor(logits, jacobian=jacobian)


def pooled_head() -> ToyPredictor:
    """Logit 0 is a linear function of the channels' means."""

    def logits(image: np.ndarray) -> np.ndarray:
        return np.array([CHANNEL_WEIGHTS @ features(image[None])[0].mean(axis=(1, 2)), 0, 0])

    def jacobian(_: np.ndarray) -> np.ndarray:
        full = np.zeros((3, 3, SIDE // 8, SIDE // 8))
        full[0] = CHANNEL_WEIGHTS[:, None, None] / (SIDE // 8) ** 2
        return full

    return ToyPredictor(logits, jacobian=jacobian)


def made(explainer: Explainer, predictor: ToyPredictor, image: np.ndarray) -> np.ndarray:
    explainer.check(predictor.facts)
    found = ask(explainer.explain(sample_of(predictor, image)), predictor)
    assert not isinstance(found, Undefined)
    assert found.dtype == np.float64
    return found


def test_hires_cam_decomposes_a_linear_head_into_cells() -> None:
    predictor, image = head_on_features(), pixels(low=0.0)
    sample = replace(sample_of(predictor, image), target=FixedClass(0))
    coarse = ask(HiresCam().coarse(sample), predictor)
    assert abs(coarse.sum()) > 0.5
    assert coarse.sum() == pytest.approx(sample.logit(sample.clean), rel=1e-5)


def test_behind_a_global_mean_hires_cam_is_grad_cam() -> None:
    image = pixels(low=0.0)
    hires, grad = (made(one, pooled_head(), image) for one in (HiresCam(), GradCam()))
    np.testing.assert_allclose(hires, grad, rtol=1e-6)


@pytest.mark.parametrize("kind", EVERY)
def test_every_map_is_the_stretched_positive_part(kind: type[TensorMap]) -> None:
    tensor, slopes = np.random.default_rng(6).normal(size=(2, 3, 4, 5)).astype(np.float32)

    def respond(query: Query) -> Answer:
        if isinstance(query, GradientView):
            return Gradient(tensor, slopes)
        first = 0.0 if query.gate is None else float(query.gate @ [1, 2, -4])
        logits = np.array([first, 0, 0], np.float32)
        return Prediction(logits, softmax(logits), 1.0, {"features": tensor})

    sample = sample_of(pooled_head(), pixels())
    coarse = answer(kind().coarse(sample), respond)
    assert coarse.min() < 0 < coarse.max()
    expected = stretched(np.maximum(coarse, 0), SIDE, SIDE)
    np.testing.assert_array_equal(answer(kind().explain(sample), respond), expected)


def test_ablation_cam_weighs_by_the_change_of_the_logit() -> None:
    predictor, image = pooled_head(), pixels(low=0.0)
    tensor = features(image[None])[0].astype(np.float64)
    lost = CHANNEL_WEIGHTS * tensor.mean(axis=(1, 2))
    coarse = ask(AblationCam().coarse(sample_of(predictor, image)), predictor)
    np.testing.assert_allclose(coarse, np.tensordot(lost, tensor, axes=1), atol=1e-6)


def test_a_negative_logit_does_not_turn_ablation_cam_over() -> None:
    image = pixels(low=0.0)
    plain = pooled_head()
    low = ToyPredictor(lambda one: plain._logits(one) - np.array([5, 5, 5]))
    assert plain._logits(image)[0] > 0 > low._logits(image)[0]
    np.testing.assert_allclose(
        made(AblationCam(), low, image), made(AblationCam(), plain, image), atol=1e-5
    )


@pytest.mark.parametrize("baseline", [Black(), Grey()])
def test_score_cam_weighs_by_the_softmax_of_what_each_channel_shows(
    baseline: RemovalOperator,
) -> None:
    predictor, image = pooled_head(), pixels(low=0.0)
    tensor = features(image[None])[0].astype(np.float64)
    hidden = bound(baseline, image)(np.zeros((SIDE, SIDE), np.bool_))
    logits = []
    for channel in tensor:
        wide = stretched(channel, SIDE, SIDE)
        share = (wide - wide.min()) / np.ptp(wide)
        shown = (share * image + (1 - share) * hidden).astype(np.float32)
        logits.append(float(predictor._logits(shown)[0]))
    powers = np.exp(np.array(logits) - max(logits))
    expected = np.tensordot(powers / powers.sum(), tensor, axes=1)
    coarse = ask(ScoreCam(baseline=baseline).coarse(sample_of(predictor, image)), predictor)
    np.testing.assert_allclose(coarse, expected, atol=1e-6)


def test_a_constant_channel_shows_nothing() -> None:
    image = pixels(low=0.0)
    image[1] = 0.25
    predictor = pooled_head()
    sample = sample_of(predictor, image)
    predictor.batches.clear()
    ask(ScoreCam(baseline=Grey()).coarse(sample), predictor)
    seen = np.concatenate(predictor.batches)
    grey = bound(Grey(), image)(np.zeros((SIDE, SIDE), np.bool_))
    assert sum(np.array_equal(one, grey) for one in seen) == 1


@pytest.mark.parametrize("kind", [AblationCam, ScoreCam])
def test_channels_are_those_that_vary_most(kind: type[AblationCam | ScoreCam]) -> None:
    image = pixels(low=0.0)
    image[0] = 0.3 + 0.01 * image[0]
    predictor, tensor = pooled_head(), features(image[None])[0].astype(np.float64)
    coarse = ask(kind(channels=1).coarse(sample_of(predictor, image)), predictor)
    strongest = int(np.argmax(tensor.var(axis=(1, 2))))
    scale = coarse[0, 0] / tensor[strongest][0, 0]
    np.testing.assert_allclose(coarse, scale * tensor[strongest], rtol=1e-6)
    assert kind(channels=1).cost(predictor.facts) == 2
    assert kind(channels=9).cost(predictor.facts) == kind().cost(predictor.facts) == 4
    assert kind("unknown").cost(predictor.facts) == 1 + MOST_CHANNELS


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 6), st.integers(0, 99))
def test_of_channels_that_vary_alike_the_first_are_taken(count: int, seed: int) -> None:
    levels = np.random.default_rng(seed).integers(0, 3, 5)
    tensor = (levels[:, None, None] * np.array([[-1.0, 1.0]])).astype(np.float32)
    expected = sorted(range(5), key=lambda k: (-levels[k], k))[: count or 5]
    assert most_varied(tensor, count).tolist() == sorted(expected)


def eigen(explainer: EigenCam, tensor: np.ndarray) -> np.ndarray:
    """The coarse map of a tensor, which the model is asked for."""
    predictor = pooled_head()
    sample = sample_of(predictor, pixels())
    clean = sample.clean
    shown = Prediction(clean.logits, clean.probabilities, 1.0, {"features": tensor})
    return answer(explainer.coarse(sample), lambda _: shown)


@settings(max_examples=40, deadline=None)
@given(TENSORS)
def test_eigen_cam_is_the_projection_on_the_first_direction(tensor: np.ndarray) -> None:
    found = eigen(EigenCam(), tensor)
    cells = tensor.reshape(4, -1).T.astype(np.float64)
    values, vectors = np.linalg.eigh(cells.T @ cells)
    assert found.sum() >= 0
    # The largest sum of squares over all unit vectors, whichever of equal ones it is.
    assert np.square(found).sum() == pytest.approx(values[-1], rel=1e-9, abs=1e-12)
    if values[-1] > 1.001 * values[-2]:
        projected = cells @ vectors[:, -1]
        off = min(np.abs(found.reshape(-1) - sign * projected).max() for sign in (1, -1))
        assert off < 1e-5 * np.sqrt(values[-1])


@settings(max_examples=40, deadline=None)
@given(TENSORS, st.floats(-5, 5, width=32))
def test_centred_eigen_cam_forgets_the_means_and_shows_the_larger_extreme(
    tensor: np.ndarray, shift: float
) -> None:
    found = eigen(EigenCam(centred=True), tensor)
    assert found.reshape(-1)[np.abs(found).argmax()] >= 0
    cells = tensor.reshape(4, -1).T.astype(np.float64)
    strongest = np.linalg.svd(cells - cells.mean(axis=0), compute_uv=False)[0]
    assert np.linalg.norm(found) == pytest.approx(strongest, rel=1e-9, abs=1e-9)
    moved = eigen(EigenCam(centred=True), (tensor + np.float32(shift)).astype(np.float32))
    assert np.linalg.norm(moved) == pytest.approx(strongest, rel=1e-4, abs=1e-4)


def test_eigen_cam_is_blind_to_the_class() -> None:
    image = pixels(low=0.0)
    one, other = pooled_head(), ToyPredictor(lambda picture: -pooled_head()._logits(picture))
    np.testing.assert_array_equal(made(EigenCam(), one, image), made(EigenCam(), other, image))


def test_eigen_cam_of_a_tensor_that_is_not_finite_is_not_finite() -> None:
    tensor = np.ones((2, 3, 3), np.float32)
    tensor[0, 1, 1] = np.inf
    assert np.isnan(eigen(EigenCam(), tensor)).all()


@pytest.mark.parametrize("kind", EVERY)
def test_a_tensor_is_needed_known_and_spatial(kind: type[Explainer]) -> None:
    with pytest.raises(InvalidArgumentError, match="set tensor") as caught:
        kind().check(facts(cam_tensor=""))
    assert caught.value.field == "tensor"
    assert kind().passes(facts(cam_tensor="")) == ()
    named = kind(tensor="conv5")  # type: ignore[call-arg]  # of these classes
    named.check(facts(cam_tensor=""))
    known = replace(facts(), tensors=frozenset({"conv4", "features"}))
    kind().check(known)
    with pytest.raises(UnknownNameError, match="did you mean 'conv4'"):
        named.check(known)


@pytest.mark.parametrize("kind", [AblationCam, EigenCam, ScoreCam])
def test_a_tensor_that_is_not_spatial_is_refused(kind: type[Explainer]) -> None:
    predictor = linear(np.ones((3, SIDE, SIDE)))
    sample = sample_of(predictor, pixels())
    flat = {"vector": np.ones(7, np.float32)}
    shown = Prediction(sample.clean.logits, sample.clean.probabilities, 1.0, flat)
    with pytest.raises(InvalidArgumentError, match=r"'vector' has the shape \(7,\)") as caught:
        answer(kind("vector").explain(sample), lambda _: shown)  # type: ignore[call-arg]  # as above
    assert caught.value.field == "tensor"


def test_score_cam_refuses_a_baseline_without_pixels() -> None:
    with pytest.raises(InvalidArgumentError, match="pixel operator") as caught:
        ScoreCam(baseline=Layer()).check(facts())
    assert caught.value.field == "baseline"
