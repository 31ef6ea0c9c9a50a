"""Images that came to be shown in place of others, from their own frame to the model."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.engine import evaluate, explain, predict_masked
from heatproof.evaluators.evaluation.plan import plan
from heatproof.evaluators.evaluation.requirements import reads_of_images
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import (
    Explainer,
    GradientShap,
    IntegratedGradients,
    KernelShap,
    Lime,
    Occlusion,
    Random,
    Rise,
    ScoreCam,
)
from heatproof.evaluators.images.inventory import Inventory, KnownImage
from heatproof.evaluators.images.preprocessing import PRESETS, Filter, Preprocessing, Resize
from heatproof.evaluators.images.sources import Frame, FramedPixels, SourceImage
from heatproof.evaluators.metrics import AverageDrop, Deletion, InputInvariance, Metric
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.regions import Grid
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.removal import Black, Replacement
from tests.evaluators.toys import SIDE, ToyPredictor, facts, linear, softmax

WEIGHTS = np.random.default_rng(0).uniform(-2e-3, 6e-3, (3, SIDE, SIDE))
SPEC = EvaluationSpec(
    models=("models/toy",),
    preprocessing=PRESETS["unit"],
    metrics=(),
    explainers=(Occlusion(8, 8, Replacement()),),
    removals=(),
)
COVERED = Preprocessing(resize=Resize.SHORTEST_SIDE, crop_fraction=0.8)


def drawn(height: int = SIDE, width: int = SIDE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def source(
    pixels: np.ndarray, replacement: np.ndarray | None, frame: Frame = Frame.SOURCE
) -> SourceImage:
    shown = None if replacement is None else FramedPixels(frame, replacement)
    return SourceImage("0" * 64, "x", pixels, replacement=shown)


def unit(pixels: np.ndarray) -> np.ndarray:
    return np.asarray((pixels / 255).astype(np.float32).transpose(2, 0, 1))


def covered(pixels: np.ndarray, height: int, width: int, resample: Pillow.Resampling) -> np.ndarray:
    """What is laid over an image of such extents, after a resize to 40 and a crop to 32."""
    size = (40 * width // height, 40) if height < width else (40, 40 * height // width)
    resized = Pillow.fromarray(pixels).resize(size, resample)
    left, top = (round((side - SIDE) / 2) for side in size)
    return unit(np.asarray(resized.crop((left, top, left + SIDE, top + SIDE))))


def squeezed(pixels: np.ndarray, resample: Pillow.Resampling) -> np.ndarray:
    return unit(np.asarray(Pillow.fromarray(pixels).resize((SIDE, SIDE), resample)))


@pytest.mark.parametrize(
    ("extents", "frame"),
    [
        ((50, 70), Frame.SOURCE),
        ((70, 50), Frame.SOURCE),
        ((25, 35), Frame.SOURCE),  # a model that paints smaller images
        ((SIDE, SIDE), Frame.MODEL_INPUT),
        ((64, 48), Frame.MODEL_INPUT),
    ],
)
@pytest.mark.parametrize(
    ("as_floats", "kind"),
    # Of bicubic weights, bytes are cut to their range between rows and columns, floats after both.
    [(False, Filter.BICUBIC), (False, Filter.BILINEAR), (True, Filter.BILINEAR)],
)
def test_hidden_pixels_are_the_replacements_after_the_same_preprocessing(
    extents: tuple[int, int],
    frame: Frame,
    as_floats: bool,
    kind: Filter,
) -> None:
    height, width = (70, 50) if extents == (70, 50) else (50, 70)
    pixels, other = drawn(height, width), drawn(*extents, seed=1)
    given = (other / 255).astype(np.float32) if as_floats else other
    predictor, resample = linear(WEIGHTS), Pillow.Resampling[kind.name]
    mask = np.random.default_rng(2).random((SIDE, SIDE)) < 0.5
    preprocessing = replace(COVERED, filter=kind)
    image = source(pixels, given, frame)
    predict_masked(image, mask[None], Replacement(), preprocessing, predictor)

    shown = predictor.batches[-1][0]
    assert np.array_equal(shown[:, mask], covered(pixels, height, width, resample)[:, mask])
    if frame is Frame.SOURCE:
        expected = covered(other, height, width, resample)
    else:
        expected = squeezed(other, resample)
    tolerance = 1.2 / 255 if as_floats else 0  # bytes are rounded after rows and after columns
    np.testing.assert_allclose(shown[:, ~mask], expected[:, ~mask], atol=tolerance)


def test_an_explainer_sees_the_replacement_in_its_patches() -> None:
    pixels, other = drawn(), drawn(seed=1)
    predictor = linear(WEIGHTS)
    (found,) = explain(SPEC, [source(pixels, other)], predictor)
    assert not isinstance(found.values, Undefined)

    def confidence(image: np.ndarray) -> float:
        return float(softmax(predictor._logits(image).astype(np.float32))[0])

    for top, left in np.ndindex(4, 4):
        patch = np.s_[:, 8 * top : 8 * top + 8, 8 * left : 8 * left + 8]
        shown = unit(pixels)
        shown[patch] = unit(other)[patch]
        np.testing.assert_allclose(
            found.values[patch[1:]], confidence(unit(pixels)) - confidence(shown), atol=1e-7
        )


READERS: tuple[Explainer, ...] = (
    Occlusion(8, 8, Replacement()),
    Rise(64, removal=Replacement()),
    Lime(samples=64, removal=Replacement()),
    KernelShap(Grid(4), samples=64, removal=Replacement()),
    IntegratedGradients(4, Replacement()),
    GradientShap(4, baseline=Replacement()),
    ScoreCam(baseline=Replacement()),
)


def bent(image: np.ndarray) -> np.ndarray:
    """Logits that are not linear, so that paths from other baselines differ in their gradients."""
    return np.array([np.square(WEIGHTS * image).sum() * 1e3, 0.0, 0.0])


def bent_gradient(image: np.ndarray) -> np.ndarray:
    full = np.zeros((3, *image.shape))
    full[0] = 2e3 * np.square(WEIGHTS) * image
    return full


@pytest.mark.parametrize("explainer", READERS, ids=lambda one: one.name)
def test_equal_images_with_other_replacements_are_not_taken_for_each_other(
    explainer: Explainer,
) -> None:
    pixels, first, second = drawn(), drawn(seed=1), drawn(seed=2)
    spec = replace(SPEC, explainers=(explainer,))

    def maps(*replacements: np.ndarray) -> list[Any]:
        images = [source(pixels, other) for other in replacements]
        predictor = ToyPredictor(bent, jacobian=bent_gradient)
        return [found.values for found in explain(spec, images, predictor)]

    together = maps(first, second)
    assert not np.array_equal(*together)
    for found, alone in zip(together, (*maps(first), *maps(second)), strict=True):
        np.testing.assert_array_equal(found, alone)


def test_a_blend_with_the_replacement_mixes_it_in() -> None:
    pixels, other = drawn(), drawn(seed=1)
    predictor = linear(WEIGHTS)
    spec = replace(
        SPEC, metrics=(AverageDrop(),), explainers=(Random(4),), removals=(Replacement(),)
    )
    (made,) = explain(spec, [source(pixels, other)], predictor)
    predictor.batches.clear()
    list(evaluate(spec, [source(pixels, other)], {"models/toy": predictor}, lambda _: None))
    shares = np.maximum(np.asarray(made.values), 0)
    shares = (shares - shares.min()) / (shares.max() - shares.min())
    mixed = shares * unit(pixels) + (1 - shares) * unit(other)
    assert min(np.abs(row - mixed).max() for batch in predictor.batches for row in batch) < 1e-6


def test_what_nobody_shows_changes_nothing() -> None:
    spec = replace(SPEC, metrics=(Deletion(4, 4),), explainers=(Random(4),), removals=(Black(),))
    asked: list[list[np.ndarray]] = []
    for other in (None, drawn(seed=1)):
        predictor = linear(WEIGHTS)
        list(evaluate(spec, [source(drawn(), other)], {"models/toy": predictor}, lambda _: None))
        asked.append(predictor.batches)
    np.testing.assert_array_equal(*asked)


def test_an_image_without_one_has_a_status_and_others_go_on() -> None:
    spec = replace(SPEC, metrics=(Deletion(4, 4),), explainers=(*SPEC.explainers, Random(4)))
    spec = replace(spec, removals=(Replacement(), Black()))
    images = [source(drawn(), None), source(drawn(seed=3), drawn(seed=1))]
    bare, shown = evaluate(spec, images, {"models/toy": linear(WEIGHTS)}, lambda _: None)
    reasons = [
        one.score.reason if isinstance(one.score, Undefined) else None for one in bare.scores
    ]
    assert reasons == [Reason.NO_REPLACEMENT] * 3 + [None]
    assert not any(isinstance(one.score, Undefined) for one in shown.scores)


KNOWN = (KnownImage("a.png", has_replacement=True), KnownImage("b.png"))
ELSEWHERE: dict[str, dict[str, Any]] = {
    "removals[0].replacement": {"removals": (Replacement(),), "explainers": (Random(4),)},
    "explainers[1].occlusion": {
        "removals": (Black(),),
        "explainers": (Random(4), Occlusion(8, 8, Replacement())),
    },
}


@pytest.mark.parametrize("field", ELSEWHERE)
def test_the_plan_refuses_images_that_came_without_one(field: str) -> None:
    spec = replace(SPEC, metrics=(Deletion(4, 4),), **ELSEWHERE[field])
    with pytest.raises(InvalidArgumentError, match=r"1 of 2 images.*'b.png' first") as caught:
        plan(spec, {"models/toy": facts()}, Inventory.of(KNOWN))
    assert caught.value.field == field
    assert plan(spec, {"models/toy": facts()}, Inventory.of(KNOWN[:1])).predictions
    assert reads_of_images(spec) == (Reads.REPLACEMENT,)


def test_a_single_prediction_without_one_is_refused() -> None:
    masks = np.ones((1, SIDE, SIDE), np.bool_)
    with pytest.raises(InvalidArgumentError, match="came without one") as caught:
        predict_masked(
            source(drawn(), None), masks, Replacement(), PRESETS["unit"], linear(WEIGHTS)
        )
    assert caught.value.field == "image.replacement"


@pytest.mark.parametrize(
    "explainer", [Occlusion(8, 8, Replacement()), Rise(64, removal=Replacement())]
)
def test_a_shift_of_the_image_shifts_the_replacement_with_it(explainer: Explainer) -> None:
    metric: Metric = InputInvariance()
    spec = replace(SPEC, metrics=(metric,), explainers=(explainer,))
    (result,) = evaluate(
        spec, [source(drawn(), drawn(seed=1))], {"models/toy": linear(WEIGHTS)}, lambda _: None
    )
    (score,) = result.scores
    np.testing.assert_allclose(score.score, 0, atol=1e-5)  # float32 of x + shift
