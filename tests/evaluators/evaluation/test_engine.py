from collections.abc import Sequence
from dataclasses import replace
from typing import overload

import numpy as np
import pytest

from heatproof.evaluators.errors import InvalidArgumentError, UnsupportedOperatorError
from heatproof.evaluators.evaluation import engine
from heatproof.evaluators.evaluation.engine import (
    Progress,
    SourceImage,
    evaluate,
    explain,
    predict_masked,
)
from heatproof.evaluators.evaluation.results import ImageResult, ImageScore
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import (
    Centre,
    Occlusion,
    Random,
    Rise,
    Saliency,
    Supplied,
)
from heatproof.evaluators.images.inventory import Inventory, KnownImage
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import Frame, FramedMap
from heatproof.evaluators.metrics import (
    Deletion,
    ExplanationConsistency,
    Insertion,
    OcclusionCorrectedDeletion,
    OcclusionRobustness,
)
from heatproof.evaluators.outcomes import Reason, Score, Undefined
from heatproof.evaluators.queries.passes import Capability
from heatproof.evaluators.queries.predictor import Predictor, Shortfall
from heatproof.evaluators.queries.targets import LABEL, PREDICTED
from heatproof.evaluators.removal import Black, Blur, Layer
from tests.evaluators.toys import SIDE, ToyPredictor, facts, linear, softmax

WEIGHTS = np.random.default_rng(0).uniform(-1e-3, 6e-3, (3, SIDE, SIDE))
SPEC = EvaluationSpec(
    models=("models/toy",),
    preprocessing=PRESETS["unit"],
    metrics=(Deletion(4, 4), Insertion(4, 4), OcclusionCorrectedDeletion(2, 2)),
    explainers=(Random(4), Occlusion(16, 16), Saliency()),
    removals=(Black(), Layer(), Blur(sigma=2.0)),
)


def source(seed: int, **known: object) -> SourceImage:
    drawn = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    return SourceImage(f"{seed:064x}", f"{seed}.png", drawn, **known)  # type: ignore[arg-type]  # fields of SourceImage


def run(
    spec: EvaluationSpec, images: Sequence[SourceImage], predictor: Predictor | None = None
) -> list[ImageResult]:
    models = {model: predictor or linear(WEIGHTS) for model in spec.models}
    return list(evaluate(spec, images, models, lambda _: None))


def reason_of(score: Score) -> Reason:
    assert isinstance(score, Undefined)
    return score.reason


class Drifting(ToyPredictor):
    """Answers depend on the row's place in its batch, as with a careless runtime."""

    def logits(self, images: np.ndarray) -> np.ndarray:
        drift = np.arange(len(images), dtype=np.float32)[:, None] * np.float32(1e-6)
        drifted: np.ndarray = super().logits(images) + drift * np.array([1, 0, 0], np.float32)
        return drifted


def drifting() -> Drifting:
    def logits(image: np.ndarray) -> np.ndarray:
        return np.array([(WEIGHTS * image).sum(), 0, 0])

    def jacobian(image: np.ndarray) -> np.ndarray:
        full = np.zeros((3, *image.shape))
        full[0] = WEIGHTS
        return full

    return Drifting(logits, jacobian=jacobian)


def test_equal_specs_give_bit_equal_results_even_if_rows_depend_on_their_place() -> None:
    images = [source(seed) for seed in range(2)]
    assert run(SPEC, images, drifting()) == run(SPEC, images, drifting())


@pytest.mark.parametrize("window", [1, 2])
def test_the_window_changes_no_bit(monkeypatch: pytest.MonkeyPatch, window: int) -> None:
    images = [source(seed) for seed in range(3)]
    expected = run(SPEC, images)
    monkeypatch.setattr(engine, "_WINDOW", window)
    assert run(SPEC, images) == expected


def test_an_image_scores_the_same_alone_and_in_company() -> None:
    images = [source(seed) for seed in range(2)]
    assert [run(SPEC, [image])[0] for image in images] == run(SPEC, images)


def test_the_order_of_metrics_explainers_and_operators_changes_no_score() -> None:
    turned = replace(
        SPEC,
        metrics=SPEC.metrics[::-1],
        explainers=SPEC.explainers[::-1],
        removals=SPEC.removals[::-1],
    )

    def named(spec: EvaluationSpec) -> dict[object, ImageScore]:
        keys = engine.plan(spec, {"models/toy": facts()}, Inventory.of([KnownImage("")])).results
        (result,) = run(spec, [source(0)])
        return {
            (keys[score.result].metric, keys[score.result].removal, keys[score.result].explainer): (
                replace(score, result=0)
            )
            for score in result.scores
        }

    assert named(SPEC) == named(turned)


def test_duplicates_in_a_spec_or_a_data_set_cost_nothing_and_score_alike() -> None:
    single, double = linear(WEIGHTS), linear(WEIGHTS)
    (alone,) = run(SPEC, [source(0)], single)
    spec = replace(SPEC, metrics=SPEC.metrics * 2)
    first, second = run(spec, [source(0), source(0)], double)
    assert len(double.batches) == len(single.batches)
    assert first == second
    half = len(first.scores) // 2
    for twin in (first.scores[:half], first.scores[half:]):
        assert [score.score for score in twin] == [score.score for score in alone.scores]


def test_a_map_is_made_once_for_all_metrics_and_operators() -> None:
    spec = replace(SPEC, metrics=(Deletion(2, 1),), explainers=(Rise(64, 4),), removals=(Black(),))
    one, many = linear(WEIGHTS), linear(WEIGHTS)
    run(spec, [source(0)], one)
    run(replace(spec, metrics=(Deletion(2, 1), Insertion(2, 1), Deletion(4, 1))), [source(0)], many)
    assert len(many.batches) == len(one.batches)


def test_results_come_in_order_with_everything_about_the_image() -> None:
    images = [source(seed, label=seed % 3) for seed in range(3)]
    results = run(SPEC, images)
    for image, result in zip(images, results, strict=True):
        assert (result.image, result.display_name, result.label) == (
            image.digest,
            image.display_name,
            image.label,
        )
        assert [score.result for score in result.scores] == list(range(27))
        (prediction,) = result.predictions
        logits = (WEIGHTS * image.pixels.transpose(2, 0, 1) / 255).sum()
        expected = softmax(np.array([logits, 0, 0]))
        assert prediction.target == 0
        assert [top.class_index for top in prediction.top] == [0, 1, 2]
        found = [top.probability for top in prediction.top]
        np.testing.assert_allclose(found, expected, atol=1e-6)  # float32 pixels and logits


def test_scores_of_several_models_are_those_of_each_alone() -> None:
    names = ("models/a", "models/b")
    own = {
        name: linear(WEIGHTS * scale, own=facts(model=name))
        for name, scale in zip(names, (1.0, 0.5), strict=True)
    }
    spec = replace(SPEC, models=names)
    (both,) = list(evaluate(spec, [source(0)], own, lambda _: None))
    assert [prediction.model for prediction in both.predictions] == list(names)
    for index, name in enumerate(names):
        alone = replace(spec, models=(name,))
        (single,) = list(evaluate(alone, [source(0)], own, lambda _: None))
        assert [s.score for s in both.scores[27 * index :][:27]] == [s.score for s in single.scores]


def test_progress_counts_images_and_rows_without_padding() -> None:
    predictor = linear(WEIGHTS)
    spec = replace(SPEC, metrics=(OcclusionRobustness(2, 1),), explainers=(), removals=(Black(),))
    seen: list[Progress] = []
    list(evaluate(spec, [source(0), source(1)], {"models/toy": predictor}, seen.append))
    # clean and empty image of each; black empties both images alike, but pixels tell them apart
    assert seen[-1] == Progress(images_done=2, predictions_done=4)
    assert [p.predictions_done for p in seen] == sorted(p.predictions_done for p in seen)


class Lazy(Sequence[SourceImage]):
    """Counts fetches."""

    def __init__(self, count: int) -> None:
        self.length = count
        self.fetched: list[int] = []

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, index: int) -> SourceImage: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[SourceImage]: ...
    def __getitem__(self, index: int | slice) -> SourceImage | Sequence[SourceImage]:
        assert isinstance(index, int)
        if index >= self.length:
            raise IndexError
        self.fetched.append(index)
        return source(index)


def test_images_are_fetched_once_in_order_when_their_turn_comes() -> None:
    images = Lazy(40)
    spec = replace(SPEC, metrics=(Deletion(2, 4),), explainers=(Centre(),), removals=(Black(),))
    results = evaluate(spec, images, {"models/toy": linear(WEIGHTS)}, lambda _: None)
    next(iter(results))
    assert len(set(images.fetched)) <= 20
    assert len(list(results)) == 39
    # the type checker of the tests looks at an item or two before
    assert images.fetched[-40:] == list(range(40))
    assert len(images.fetched) < 44


def test_the_label_is_explained_if_asked_for() -> None:
    spec = replace(SPEC, target=LABEL)
    (result,) = run(spec, [source(0, label=2)])
    assert result.predictions[0].target == 2
    (predicted,) = run(SPEC, [source(0, label=2)])
    assert predicted.predictions[0].target == 0
    assert result.scores[0].score != predicted.scores[0].score


def test_an_image_without_the_label_that_is_explained_is_refused_at_its_place() -> None:
    spec = replace(SPEC, target=LABEL)
    with pytest.raises(InvalidArgumentError, match=r"1\.png has no label") as caught:
        run(spec, [source(0, label=0), source(1)])
    assert caught.value.field == "images[1].label"


@pytest.mark.parametrize("label", [3, -1])
@pytest.mark.parametrize("target", [PREDICTED, LABEL])
def test_a_label_that_is_no_class_is_refused(label: int, target: object) -> None:
    with pytest.raises(InvalidArgumentError, match="classes 0 to 2") as caught:
        run(replace(SPEC, target=target), [source(0, label=label)])
    assert caught.value.field == "images[0].label"


def supplied(values: np.ndarray) -> dict[str, FramedMap]:
    return {"": FramedMap(Frame.SOURCE, values.astype(np.float32))}


def test_supplied_maps_are_scored_and_missing_ones_have_a_status() -> None:
    spec = replace(SPEC, explainers=(Supplied(),), metrics=(Deletion(4, 8),), removals=(Black(),))
    contribution = WEIGHTS.sum(axis=0)
    own, bare = run(spec, [source(0, attribution_maps=supplied(contribution)), source(1)])
    assert isinstance(own.scores[0].score, float)
    assert reason_of(bare.scores[0].score) is Reason.NO_MAP


def test_supplied_maps_that_are_not_finite_are_refused_at_their_place() -> None:
    spec = replace(SPEC, explainers=(Supplied(),))
    broken = supplied(np.full((SIDE, SIDE), np.nan))
    with pytest.raises(InvalidArgumentError, match="NaN") as caught:
        run(spec, [source(0, attribution_maps=broken)])
    assert caught.value.field == "images[0].attribution_maps[0].values"


def test_supplied_maps_that_no_explainer_takes_are_not_looked_at() -> None:
    broken = supplied(np.full((SIDE, SIDE), np.nan))
    assert len(run(SPEC, [source(0, attribution_maps=broken)])) == 1


def test_an_image_of_the_wrong_size_is_refused_at_its_place() -> None:
    spec = replace(
        SPEC, preprocessing=replace(PRESETS["unit"], resize=type(PRESETS["unit"].resize).NONE)
    )
    small = replace(source(1), pixels=np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(InvalidArgumentError, match="8 x 8") as caught:
        run(spec, [source(0), small])
    assert caught.value.field == "images[1]"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_model_that_answers_nonsense_gives_a_status_and_never_nan(value: float) -> None:
    predictor = ToyPredictor(lambda _: np.array([value, 0, 0]))
    (result,) = run(replace(SPEC, keep_overlays=True), [source(0)], predictor)
    assert {reason_of(score.score) for score in result.scores} == {Reason.NOT_FINITE}
    assert result.predictions[0].top == ()
    assert result.overlays == ()


def test_nonsense_under_removal_only_is_a_status_of_what_it_touches() -> None:
    def logits(image: np.ndarray) -> np.ndarray:
        value = np.nan if (image == 0).any() else (WEIGHTS * image).sum()
        return np.array([value, 0, 0])

    bright = replace(source(0), pixels=np.maximum(source(0).pixels, 1))
    spec = replace(
        SPEC, metrics=SPEC.metrics[:2], explainers=(Centre(),), removals=(Black(), Blur(sigma=2.0))
    )
    (result,) = run(spec, [bright], ToyPredictor(logits))
    black, blur = result.scores[0], result.scores[1]
    assert reason_of(black.score) is Reason.NOT_FINITE
    assert black.curves == {}
    assert isinstance(blur.score, float)
    for score in result.scores:
        for part in (score.score, *score.parts.values()):
            assert isinstance(part, Undefined) or np.isfinite(part)


def test_maps_that_are_not_finite_are_a_status_of_their_explainer() -> None:
    def jacobian(image: np.ndarray) -> np.ndarray:
        return np.full((3, *image.shape), np.nan)

    predictor = ToyPredictor(lambda image: np.array([image.sum() * 1e-3, 0, 0]), jacobian=jacobian)
    spec = replace(
        SPEC, metrics=(Deletion(4, 8),), explainers=(Saliency(), Centre()), removals=(Black(),)
    )
    (result,) = run(spec, [source(0)], predictor)
    assert reason_of(result.scores[0].score) is Reason.NOT_FINITE
    assert isinstance(result.scores[1].score, float)


def test_overlays_are_kept_only_if_asked_for() -> None:
    (plain,) = run(SPEC, [source(0)])
    assert (plain.overlays, plain.input_pictures) == ((), ())
    (result,) = run(replace(SPEC, keep_overlays=True), [source(0)])
    assert [each.explainer for each in result.overlays] == list(SPEC.explainers)
    assert all(each.png.startswith(b"\x89PNG") for each in result.overlays)
    assert all(0 <= each.lowest <= each.highest for each in result.overlays)
    assert [each.model for each in result.input_pictures] == list(SPEC.models)
    assert all(each.jpeg.startswith(b"\xff\xd8") for each in result.input_pictures)


def test_explanations_come_image_by_image_and_explainer_by_explainer() -> None:
    spec = replace(SPEC, metrics=(), removals=(), explainers=(*SPEC.explainers, Supplied()))
    found = list(explain(spec, [source(0), source(1)], linear(WEIGHTS)))
    assert [(each.image, each.explainer) for each in found] == [
        (image, explainer) for image in range(2) for explainer in spec.explainers
    ]
    for each in found:
        assert each.overlay_png == b""
        if isinstance(each.explainer, Supplied):
            assert isinstance(each.values, Undefined)
        else:
            assert isinstance(each.values, np.ndarray)
            assert each.values.shape == (SIDE, SIDE)
        assert each.prediction.target == 0
    drawn = list(explain(replace(spec, keep_overlays=True), [source(0)], linear(WEIGHTS)))
    assert [bool(each.overlay_png) for each in drawn] == [True, True, True, False]


def test_explanations_check_their_explainers() -> None:
    spec = replace(SPEC, explainers=(Occlusion(64),))
    with pytest.raises(InvalidArgumentError) as caught:
        next(iter(explain(spec, [source(0)], linear(WEIGHTS))))
    assert caught.value.field == "explainers[0].occlusion.patch"


def masks(count: int) -> np.ndarray:
    return np.random.default_rng(5).random((count, SIDE, SIDE)) < 0.5


def test_masked_predictions_are_those_of_each_mask() -> None:
    predictor, image = linear(WEIGHTS), source(0)
    found = predict_masked(image, masks(7), Black(), PRESETS["unit"], predictor)
    clean = image.pixels.transpose(2, 0, 1) / np.float32(255)
    expected = [predictor._logits(np.where(mask, clean, 0)) for mask in masks(7)]
    assert np.array_equal(found.logits, np.array(expected, np.float32))
    assert found.coverage is None


def test_masked_predictions_of_the_network_come_with_their_coverage() -> None:
    found = predict_masked(source(0), masks(3), Layer(), PRESETS["unit"], linear(WEIGHTS))
    assert found.coverage is not None
    np.testing.assert_allclose(found.coverage, masks(3).mean(axis=(1, 2)), rtol=1e-6)


@pytest.mark.parametrize("count", [0, 1])
def test_few_masks_keep_the_shape(count: int) -> None:
    found = predict_masked(source(0), masks(count), Layer(), PRESETS["unit"], linear(WEIGHTS))
    assert found.logits.shape == (count, 3)


def test_masks_of_another_size_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="32 x 32") as caught:
        predict_masked(source(0), masks(1)[:, :8], Black(), PRESETS["unit"], linear(WEIGHTS))
    assert caught.value.field == "masks"


def test_masks_inside_a_network_without_rules_are_refused() -> None:
    own = facts(shortfalls=[Shortfall(Capability.LAYER_MASKING, "node 'n': Loop")])
    with pytest.raises(UnsupportedOperatorError, match="Loop"):
        predict_masked(source(0), masks(1), Layer(), PRESETS["unit"], linear(WEIGHTS, own=own))


def test_sigmoid_models_are_scored_by_the_sigmoid() -> None:
    predictor = linear(WEIGHTS, own=facts(probabilities="sigmoid"))
    (result,) = run(
        replace(SPEC, metrics=(Deletion(4, 8), ExplanationConsistency())), [source(0)], predictor
    )
    logit = float(predictor._logits(source(0).pixels.transpose(2, 0, 1) / np.float32(255))[0])
    assert result.predictions[0].top[0].probability == pytest.approx(
        1 / (1 + np.exp(-logit)), rel=1e-6
    )
    assert result.scores[0].curves["deletion"].values[-1] == pytest.approx(0.5)


BATCHES = {
    (1, 16): 5, (4, 16): 5, (16, 16): 11, (64, 16): 44,
    (1, 64): 5, (4, 64): 5, (16, 64): 5, (64, 64): 11,
}  # fmt: skip


@pytest.mark.parametrize(("images", "batch_size"), BATCHES)
def test_consistency_asks_side_by_side(images: int, batch_size: int) -> None:
    """Eleven queries an image in five steps: answer, map, attack, four answers, four maps."""
    predictor = linear(WEIGHTS, own=facts(batch_size=batch_size))
    spec = replace(
        SPEC,
        metrics=(ExplanationConsistency(threshold=0.5),),
        explainers=(Saliency(),),
        removals=(),
    )
    results = run(spec, [source(seed) for seed in range(images)], predictor)
    assert all(score.score == 1 for one in results for score in one.scores)
    assert len(predictor.batches) == BATCHES[images, batch_size]
