"""What metrics of the label say of images that show several classes, or none."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.engine import evaluate
from heatproof.evaluators.evaluation.results import ImageResult
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.images.labels import Label, LabelSet
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import Frame, FramedMask, SourceImage
from heatproof.evaluators.metrics import LimeProtocol, MaskShapeBias, Metric, SegmentRemoval
from heatproof.evaluators.metrics.masking.class_matrix import ClassMatrix
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.queries.targets import LABEL, Target
from heatproof.evaluators.regions import Grid
from heatproof.evaluators.removal import Black
from tests.evaluators.toys import SIDE, ToyPredictor, facts

MODEL = "models/toy"
ALIKE = np.array([[9, 1, 5], [2, 9, 4], [7, 3, 9]], np.float32)
APART = facts(probabilities="sigmoid")


def half_dark(image: np.ndarray) -> np.ndarray:
    """Class 0 while more than half is bright, then class 2: 1 never."""
    return np.array([image[0].mean() - 0.5, -1.0, 0.5 - image[0].mean()])


def results(
    metric: Metric, labels: Sequence[Label | None], *, target: Target | None = None
) -> list[ImageResult]:
    objects = np.zeros((SIDE, SIDE), np.bool_)
    objects[: 3 * SIDE // 4] = True
    images = [
        SourceImage(
            str(place),
            f"{place}.png",
            np.full((SIDE, SIDE, 3), 255, np.uint8),
            label,
            object_mask=FramedMask(Frame.MODEL_INPUT, objects),
        )
        for place, label in enumerate(labels)
    ]
    spec = EvaluationSpec(
        models=(MODEL,),
        preprocessing=PRESETS["unit"],
        metrics=(metric,),
        explainers=(),
        removals=(Black(),),
        **({} if target is None else {"target": target}),
    )
    model = ToyPredictor(half_dark, own=APART)
    return list(evaluate(spec, images, {MODEL: model}, lambda _: None))


def test_a_hit_of_segment_removal_is_any_of_the_classes() -> None:
    metric = SegmentRemoval(Grid(4), fractions=4, similarity=ClassMatrix.of(ALIKE))
    shown = [LabelSet((0, 2)), LabelSet((0, 1)), LabelSet((1,)), LabelSet(), None]
    every, first, never, empty, unknown = (one.scores[0] for one in results(metric, shown))
    # Bright, bright, even, dark, dark: classes 0, 0, 0 (the first of equals), 2, 2.
    assert (every.parts["accuracy"], first.parts["accuracy"]) == (1.0, pytest.approx(3 / 5))
    assert never.parts["accuracy"] == 0.0
    # The best of the classes: ALIKE[0, 0] and, once it is dark, max(ALIKE[2, 0], ALIKE[2, 1]).
    assert first.parts["class_similarity"] == pytest.approx((3 * 9 + 2 * 7) / 5)
    for lacking, words in ((empty, "none of the classes"), (unknown, "without its true class")):
        for name in ("accuracy", "class_similarity"):
            reason = lacking.parts[name]
            assert isinstance(reason, Undefined)
            assert reason.reason is Reason.NO_LABEL
            assert words in reason.detail


def test_mask_shape_bias_asks_whether_one_of_the_classes_is_still_found() -> None:
    shown = [LabelSet((0, 2)), LabelSet((0,)), LabelSet((1, 2)), LabelSet()]
    both, bright, dark, empty = (one.scores[0].score for one in results(MaskShapeBias(), shown))
    assert (both, bright) == (1.0, 0.0)  # without the object it is dark, which is class 2
    assert isinstance(dark, Undefined)
    assert isinstance(empty, Undefined)
    assert (dark.reason, empty.reason) == (Reason.MISCLASSIFIED, Reason.NO_LABEL)


def test_the_ablation_of_the_lime_protocol_asks_the_same() -> None:
    metric = LimeProtocol(Grid(2), samples=16, top=3)
    shown = [LabelSet((0, 2)), LabelSet((0,)), LabelSet((1, 2)), LabelSet()]
    hits = [one.scores[0].parts["ablation_hit"] for one in results(metric, shown)]
    assert hits[:3] == [1.0, 0.0, 1.0]
    assert isinstance(hits[3], Undefined)
    assert hits[3].reason is Reason.NO_LABEL


def test_the_classes_of_an_image_are_explained_together() -> None:
    metric = SegmentRemoval(Grid(4))
    one, two = results(metric, [LabelSet((1,)), LabelSet((0, 1))], target=LABEL)
    assert one.predictions[0].target == 1
    assert two.predictions[0].target == -1
    with pytest.raises(InvalidArgumentError, match=r"0\.png has no label"):
        results(metric, [LabelSet()], target=LABEL)


def test_the_logits_of_an_image_with_a_set_come_with_its_answer() -> None:
    ranked, single = results(SegmentRemoval(Grid(4)), [LabelSet((0,)), 0])
    assert ranked.predictions[0].logits == pytest.approx((0.5, -1, -0.5))
    assert single.predictions[0].logits == ()
    assert (ranked.truth, ranked.label, single.truth) == (LabelSet((0,)), None, 0)


@pytest.mark.parametrize("wrong", [LabelSet((0, 3)), LabelSet((-1, 0))])
def test_a_set_with_a_class_that_the_model_lacks_is_refused(wrong: LabelSet) -> None:
    with pytest.raises(InvalidArgumentError, match="classes 0 to 2"):
        results(SegmentRemoval(Grid(4)), [wrong])


@pytest.mark.parametrize("make", [lambda _: LabelSet((0, 1)), LabelSet])
def test_a_set_needs_classes_with_probabilities_of_their_own(
    make: Callable[..., LabelSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "APART", facts(probabilities="softmax"))
    with pytest.raises(InvalidArgumentError, match="--activation sigmoid") as caught:
        results(SegmentRemoval(Grid(4)), [make(())])
    assert caught.value.field == "images[0].label"
