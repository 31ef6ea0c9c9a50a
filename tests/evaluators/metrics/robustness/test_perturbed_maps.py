"""The metrics of a map's stability: formulas written out, laws, and what has no score."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatproof.evaluators.errors import InvalidArgumentError, UnknownNameError
from heatproof.evaluators.explainers import Centre, Explainer, Occlusion, Saliency
from heatproof.evaluators.metrics import (
    AverageSensitivity,
    AverageStability,
    Continuity,
    LocalLipschitz,
    MaxSensitivity,
    RelativeInputStability,
    RelativeOutputStability,
    RelativeRepresentationStability,
)
from heatproof.evaluators.metrics.robustness.perturbed_maps import (
    Flips,
    Normalization,
    PerturbedMaps,
)
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.queries.batching import Batcher
from heatproof.evaluators.regions import Grid
from tests.evaluators.metrics.robustness.showing import Red, scored
from tests.evaluators.toys import (
    SIDE,
    ToyPredictor,
    case_of,
    facts,
    features,
    linear,
    pixels,
    planned,
    run_one,
    sample_of,
)

WEIGHTS = np.random.default_rng(0).uniform(0, 6e-3, (3, SIDE, SIDE))
DRAWS = 3
ALL: tuple[PerturbedMaps, ...] = (
    MaxSensitivity(draws=DRAWS),
    AverageSensitivity(draws=DRAWS),
    LocalLipschitz(draws=DRAWS),
    Continuity(),
    AverageStability(draws=DRAWS),
    RelativeInputStability(draws=DRAWS),
    RelativeOutputStability(draws=DRAWS),
    RelativeRepresentationStability(draws=DRAWS),
)
Array = np.ndarray


def images(metric: PerturbedMaps, image: Array) -> Iterator[Array]:
    """The perturbed images of a metric, by hand."""
    if isinstance(metric, Continuity):
        for step in range(1, 5):
            for shift in (step, -step):  # an eighth of 32 pixels, by quarters
                moved = np.zeros_like(image)
                for column in range(SIDE):
                    if 0 <= column - shift < SIDE:
                        moved[:, :, column] = image[:, :, column - shift]
                yield moved
        return
    sample, radius = sample_of(linear(WEIGHTS), image), metric.radius  # type: ignore[attr-defined]  # all others draw noise
    for index in range(DRAWS):
        rng = sample.rng(f"noise/{index}")
        is_normal = isinstance(metric, LocalLipschitz)
        noise = (
            rng.normal(0, radius, image.shape)
            if is_normal
            else rng.uniform(-radius, radius, image.shape)
        )
        yield np.clip(image + noise, 0, 1).astype(np.float32)


def norm(values: Array) -> float:
    return float(np.sqrt((values.astype(np.float64) ** 2).sum()))


def cells(values: Array) -> Array:
    """Means over a grid of 8 x 8 pixels."""
    blocks: Array = values.astype(np.float64).reshape(-1, 4, 8, 4, 8).mean(axis=(2, 4))
    return blocks


def relative(before: Array, after: Array) -> float:
    quotients = [
        (a - b) / (a if a != 0 else 1e-6)
        for a, b in zip(before.ravel(), after.ravel(), strict=True)
    ]
    return norm(np.array(quotients))


def logit(image: Array) -> float:
    return float(np.float32((WEIGHTS * image.astype(np.float64)).sum()))


def pooled(image: Array) -> Array:
    return features(image[None])[0].astype(np.float64).mean(axis=(1, 2))


def rms(values: Array) -> Array:
    return values / np.sqrt((values**2).mean())


READINGS: Mapping[str, Callable[[Array, Array], float]] = {
    "max_sensitivity": lambda x, y: norm(y[0] - x[0]) / norm(x[0]),
    "average_sensitivity": lambda x, y: norm(y[0] - x[0]) / norm(x[0]),
    "local_lipschitz": lambda x, y: norm(y[0] / y[0].max() - x[0] / x[0].max()) / norm(y - x),
    "continuity": lambda x, y: float(
        np.abs(y[0] / y[0].max() - x[0] / x[0].max()).sum() / norm(y - x)
    ),
    "average_stability": lambda x, y: norm(rms(y[0]) - rms(x[0])) / SIDE,
    "relative_input_stability": lambda x, y: (
        relative(cells(x[0]), cells(y[0])) / relative(cells(x), cells(y))
    ),
    "relative_output_stability": lambda x, y: (
        relative(cells(x[0]), cells(y[0])) / abs(logit(x) - logit(y))
    ),
    "relative_representation_stability": lambda x, y: (
        relative(cells(x[0]), cells(y[0])) / relative(pooled(x), pooled(y))
    ),
}
"""Each formula of one draw over the red channel, in float64."""

MEANS = {"average_sensitivity", "average_stability"}


@pytest.mark.parametrize("metric", ALL, ids=lambda one: one.name)
def test_scores_agree_with_an_independent_reading(metric: PerturbedMaps) -> None:
    image = pixels(low=0.2)  # bright enough for noise to be clipped
    if hasattr(metric, "regions"):
        metric = replace(metric, regions=Grid(4))
    wide = image.astype(np.float64)
    changes = [
        READINGS[metric.name](wide, moved.astype(np.float64)) for moved in images(metric, image)
    ]
    expected = np.mean(changes) if metric.name in MEANS else np.max(changes)
    outcome = scored(metric, Red(), image, linear(WEIGHTS))
    assert min(changes) < 0.999 * max(changes)
    assert outcome.score == pytest.approx(expected, rel=1e-5)
    assert outcome.parts["n_draws"] == len(changes)


@pytest.mark.parametrize("metric", ALL, ids=lambda one: one.name)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(1e-3, 1e3))
def test_the_unit_of_a_map_does_not_matter(metric: PerturbedMaps, seed: int, scale: float) -> None:
    one, other = (
        scored(metric, Red(factor), pixels(seed), linear(WEIGHTS)).score for factor in (1.0, scale)
    )
    assert one == pytest.approx(other, rel=1e-9)


@pytest.mark.parametrize("metric", ALL, ids=lambda one: one.name)
@pytest.mark.parametrize("explainer", [Centre(), Saliency()])
def test_maps_that_are_blind_to_the_image_score_zero(
    metric: PerturbedMaps, explainer: Explainer
) -> None:
    assert scored(metric, explainer, pixels(), linear(WEIGHTS)).score == 0


@pytest.mark.parametrize("metric", ALL, ids=lambda one: one.name)
@settings(max_examples=5, deadline=None)
@given(value=st.floats(0.125, 1, width=32))
def test_images_that_do_not_move_score_zero(metric: PerturbedMaps, value: float) -> None:
    if isinstance(metric, Continuity):
        value = 0.0  # black stays black when it is shifted
    else:
        metric = replace(metric, radius=1e-30)  # far below what float32 tells apart
    image = np.full((3, SIDE, SIDE), value, np.float32)
    assert scored(metric, Red(slope=1e-3), image, linear(WEIGHTS)).score == 0


@pytest.mark.parametrize("metric", ALL, ids=lambda one: one.name)
@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_a_constant_map_is_degenerate(metric: PerturbedMaps, scale: float) -> None:
    flat = np.full((3, SIDE, SIDE), 0.5, np.float32)
    score = scored(metric, Red(scale), flat, linear(WEIGHTS)).score
    assert isinstance(score, Undefined)
    assert score.reason is Reason.DEGENERATE


@pytest.mark.parametrize("metric", ALL, ids=lambda one: one.name)
def test_a_map_that_is_not_finite_is_a_status(metric: PerturbedMaps) -> None:
    score = scored(metric, Red(lost="nan"), pixels(), linear(WEIGHTS)).score
    assert isinstance(score, Undefined)
    assert score.reason is Reason.NOT_FINITE


@pytest.mark.parametrize("metric", ALL, ids=lambda one: one.name)
def test_an_answer_that_is_not_finite_is_a_status(metric: PerturbedMaps) -> None:
    image = pixels()
    total = float(image.astype(np.float64).sum())

    def logits(seen: Array) -> Array:
        is_clean = float(seen.astype(np.float64).sum()) == total
        return np.array([1.0, 0, 0] if is_clean else [np.nan, 0, 0])

    ailing = ToyPredictor(logits, jacobian=linear(WEIGHTS)._jacobian)
    score = scored(metric, Saliency(), image, ailing).score
    assert isinstance(score, Undefined)
    assert score.reason is Reason.NOT_FINITE


@pytest.mark.parametrize("metric", ALL, ids=lambda one: one.name)
@pytest.mark.parametrize("explainer", [Saliency(), Occlusion(16, 16)], ids=lambda one: one.name)
@pytest.mark.parametrize("flips", list(Flips))
def test_answers_to_perturbed_images_are_asked_for_only_where_somebody_reads_them(
    metric: PerturbedMaps, explainer: Explainer, flips: Flips
) -> None:
    metric, predictor = replace(metric, flips=flips), linear(WEIGHTS)
    case = case_of(predictor, pixels(), pixels()[0], explainer=explainer)
    batcher = Batcher(predictor)
    run_one(metric.score(case), batcher)
    images = 8 if isinstance(metric, Continuity) else DRAWS
    is_read = (
        flips is Flips.SKIP
        or isinstance(explainer, Occlusion)
        or isinstance(metric, RelativeOutputStability)
    )
    looks = images + 1 if isinstance(metric, RelativeRepresentationStability) else 0
    expected = images * explainer.cost(facts()) + looks + (images if is_read else 0)
    assert batcher.rows_done == expected
    assert metric.cost(case).rows(explainer.cost(facts())) == expected


@pytest.mark.parametrize("normalization", list(Normalization))
def test_a_map_that_vanishes_under_noise_changes_by_all_of_itself(
    normalization: Normalization,
) -> None:
    metric = MaxSensitivity(draws=2, normalization=normalization)
    assert scored(metric, Red(lost="zero"), pixels(), linear(WEIGHTS)).score == 1


def test_the_largest_magnitude_normalizes_a_map_of_negative_values() -> None:
    metric = LocalLipschitz(draws=2)
    up, down = (scored(metric, Red(scale), pixels(), linear(WEIGHTS)).score for scale in (1, -3))
    assert up == pytest.approx(down, rel=1e-12)


@pytest.mark.parametrize("metric", ALL, ids=lambda one: one.name)
def test_flips_are_kept_or_skipped_as_asked(metric: PerturbedMaps) -> None:
    image = pixels()
    total = float(image.astype(np.float64).sum())

    def logits(seen: Array) -> Array:
        is_clean = float(seen.astype(np.float64).sum()) == total
        return np.array([1.0, 0, 0] if is_clean else [0, 1.0, 0])

    kept = scored(replace(metric, flips=Flips.KEEP), Red(), image, ToyPredictor(logits))
    assert kept.parts["n_draws"] == (8 if isinstance(metric, Continuity) else DRAWS)
    skipped = scored(replace(metric, flips=Flips.SKIP), Red(), image, ToyPredictor(logits)).score
    assert isinstance(skipped, Undefined)
    assert skipped.reason is Reason.FLIPPED


def test_a_map_that_moves_with_the_image_is_continuous_where_it_is_aligned() -> None:
    assert scored(Continuity(), Red(), pixels(), linear(WEIGHTS)).score > 0.1
    aligned = Continuity(aligned=True, normalization=Normalization.NONE)
    assert scored(aligned, Red(), pixels(), linear(WEIGHTS)).score == 0


def test_a_map_that_stays_is_discontinuous_where_it_is_aligned() -> None:
    ramp = Red(scale=1.0, slope=1.0)  # rises by 1 a column beside what the image shows
    flat = np.full((3, SIDE, SIDE), 0.5, np.float32)
    aligned = Continuity(aligned=True, normalization=Normalization.NONE)
    expected = max(
        step * SIDE * (SIDE - step) / np.sqrt(3 * SIDE * step * 0.25) for step in (1, 2, 3, 4)
    )
    assert scored(aligned, ramp, flat, linear(WEIGHTS)).score == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("metric", "field"),
    [
        (Continuity(reach=0.01), "reach"),
        (Continuity(reach=1.0, aligned=True), "reach"),
        (RelativeInputStability(regions=Grid(SIDE + 1)), "regions.grid.side"),
        (RelativeRepresentationStability(regions=Grid(SIDE + 1)), "regions.grid.side"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(metric: PerturbedMaps, field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        metric.check(planned(facts(), explainer=Centre()))
    assert caught.value.field == field


def test_a_tensor_that_the_model_lacks_is_refused() -> None:
    model = replace(facts(), tensors=frozenset({"features", "stem"}))
    with pytest.raises(UnknownNameError, match="stem"):
        RelativeRepresentationStability(tensor="sten").check(planned(model, explainer=Centre()))
    RelativeRepresentationStability(tensor="stem").check(planned(model, explainer=Centre()))


def test_a_named_tensor_is_compared_value_by_value() -> None:
    metric = RelativeRepresentationStability(draws=1, regions=Grid(4), tensor="features")
    image = pixels()
    (moved,) = list(images(replace(metric, draws=1), image))[:1]
    above = relative(cells(image[0]), cells(moved[0]))
    below = relative(
        features(image[None]).astype(np.float64), features(moved[None]).astype(np.float64)
    )
    expected = above / below
    assert scored(metric, Red(), image, linear(WEIGHTS)).score == pytest.approx(expected, rel=1e-5)


def test_divisors_of_zero_count_as_epsilon() -> None:
    image = pixels(low=0.5)
    image[0, :8, :8] = 0  # a region whose attribution and brightness are 0
    metric = RelativeInputStability(draws=1, regions=Grid(4), radius=0.05)
    (moved,) = list(images(metric, image))[:1]
    sums, others = 64 * cells(image[0]), 64 * cells(moved[0])
    expected = relative(sums, others) / relative(cells(image), cells(moved))
    found = scored(metric, Red(), image, linear(WEIGHTS)).score
    assert found == pytest.approx(expected, rel=1e-4)
    blind = RelativeOutputStability(draws=1, regions=Grid(4), epsilon=0.5)
    constant = ToyPredictor(lambda _: np.zeros(3))
    above = scored(blind, Red(), pixels(), constant).score
    assert above == pytest.approx(
        relative(cells(pixels()[0]), cells(next(images(blind, pixels()))[0])) / 0.5, rel=1e-5
    )


@pytest.mark.parametrize("metric", ALL, ids=lambda one: one.name)
def test_a_metric_costs_what_it_says(metric: PerturbedMaps) -> None:
    predictor = linear(WEIGHTS)
    case = case_of(predictor, pixels(), pixels()[0], explainer=Saliency())
    batcher = Batcher(predictor)
    assert not isinstance(run_one(metric.score(case), batcher).score, Undefined)
    assert batcher.rows_done == metric.cost(case).rows(1)


@pytest.mark.parametrize("metric", ALL, ids=lambda one: one.name)
def test_draws_do_not_depend_on_their_number(metric: PerturbedMaps) -> None:
    if isinstance(metric, Continuity):
        return
    sample = sample_of(linear(WEIGHTS), pixels())
    few, many = (
        [image.draw() for image in replace(metric, draws=count).perturbed(sample)]
        for count in (2, 5)
    )
    np.testing.assert_array_equal(few, many[:2])
