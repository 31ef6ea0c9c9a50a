from dataclasses import replace

import numpy as np
import pytest

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.engine import evaluate
from heatproof.evaluators.evaluation.plan import plan
from heatproof.evaluators.evaluation.results import MetricResult
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.summaries import summarize
from heatproof.evaluators.evaluation.tabulation import tabulated
from heatproof.evaluators.images.inventory import Inventory, KnownImage
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import Frame, FramedMask, SourceImage
from heatproof.evaluators.metrics import MaskShapeBias
from heatproof.evaluators.outcomes import Reason
from heatproof.evaluators.removal import Black, Layer
from tests.evaluators.toys import SIDE, ToyPredictor

MODEL = "models/toy"
SPEC = EvaluationSpec(
    models=(MODEL,),
    preprocessing=PRESETS["unit"],
    metrics=(MaskShapeBias(),),
    explainers=(),
    removals=(Black(),),
)
AREAS = (5 * 9, 5 * 10, 6 * 9)


def box(kind: int) -> np.ndarray:
    """A box whose area gives its class away; its rolled copy does not meet it."""
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[2 : 2 + AREAS[kind] // (10 if kind == 1 else 9), 3 : 3 + (10 if kind == 1 else 9)] = True
    return mask


def picture(kind: int, *, label: int | None = None, masked: bool = True) -> SourceImage:
    """An image whose object has the value 100 + kind and whose background is 50."""
    pixels = np.full((SIDE, SIDE, 3), 50, np.uint8)
    pixels[box(kind)] = 100 + kind
    mask = FramedMask(Frame.MODEL_INPUT, box(kind)) if masked else None
    name = f"{kind} {label} {masked}"
    return SourceImage(name, name, pixels, kind if label is None else label, object_mask=mask)


def one_hot(kind: int) -> np.ndarray:
    return np.eye(3)[kind] * 5


def by_shape(image: np.ndarray) -> np.ndarray:
    """Reads the area of what is black, if something is; else the value of the object."""
    hidden = int((image[0] == 0).sum())
    return one_hot(AREAS.index(hidden) if hidden else by_value(image))


def by_value(image: np.ndarray) -> int:
    """The class whose value is in the image; 2 where there is none."""
    values = set(np.round(image[0] * 255).astype(int).ravel().tolist())
    return next((kind for kind in range(3) if 100 + kind in values), 2)


def result(model: ToyPredictor, pictures: list[SourceImage]) -> MetricResult:
    found = list(evaluate(SPEC, pictures, {MODEL: model}, lambda _: None))
    (summed,) = summarize(SPEC, tabulated(SPEC, found))
    return summed


def test_a_network_that_reads_the_shape_of_the_mask_alone_has_a_bias_of_one() -> None:
    found = result(ToyPredictor(by_shape), [picture(0), picture(1), picture(2)])
    assert found.summary.value == 1
    assert found.parts["object_hit"].value == found.parts["control_hit"].value == 1


def test_a_network_that_reads_the_object_has_what_its_default_class_hits() -> None:
    """Without the object it says 2, which is right of one image in three; the control is right."""
    found = result(ToyPredictor(lambda x: one_hot(by_value(x))), [picture(k) for k in range(3)])
    assert found.parts["object_hit"].value == pytest.approx(1 / 3)
    assert found.parts["control_hit"].value == 1
    assert found.summary.value == pytest.approx(1 / 3)


def test_the_score_is_a_ratio_of_sums_over_what_is_classified_rightly() -> None:
    def fragile(image: np.ndarray) -> np.ndarray:
        """Right without the object of class 0 only, and misled by any other hole in class 1."""
        kind, hidden = by_value(image), int((image[0] == 0).sum())
        if hidden == AREAS[1]:
            return one_hot(0)
        return one_hot(0 if hidden == AREAS[0] else kind)

    pictures = [picture(0), picture(1), picture(2), picture(0, label=1), picture(1, masked=False)]
    found = result(ToyPredictor(fragile), pictures)
    assert found.parts["object_hit"].value == pytest.approx(2 / 3)  # class 2 by default
    assert found.parts["control_hit"].value == pytest.approx(2 / 3)
    assert found.summary.value == 1
    assert found.summary.scored == 3
    assert found.summary.undefined == {Reason.MISCLASSIFIED: 1, Reason.NO_OBJECT: 1}


def test_the_control_is_the_mask_moved_by_half_of_both_sides() -> None:
    hidden: list[np.ndarray] = []

    def watched(image: np.ndarray) -> np.ndarray:
        hidden.append((image == 0).all(axis=0))
        return one_hot(0)

    result(ToyPredictor(watched), [picture(0)])
    half = SIDE // 2
    moved = np.zeros((SIDE, SIDE), np.bool_)
    moved[2 + half : 7 + half, 3 + half : 12 + half] = True
    shown = {one.tobytes() for one in hidden if one.any()}
    assert shown == {box(0).tobytes(), moved.tobytes()}


def test_without_a_hit_of_the_control_there_is_nothing_to_divide_by() -> None:
    def afraid(image: np.ndarray) -> np.ndarray:
        return one_hot(by_value(image) if (image[0] > 0).all() else 2)

    found = result(ToyPredictor(afraid), [picture(0), picture(1)])
    assert found.summary.value is None
    assert found.summary.undefined == {Reason.NO_PLACE_EFFECT: 2}


def test_a_view_in_which_the_network_sees_nothing_has_no_score() -> None:
    class Blind(ToyPredictor):
        def _masked(self, images: np.ndarray, masks: np.ndarray):  # type: ignore[no-untyped-def]  # as the toy's
            found = super()._masked(images, masks)
            return replace(found, coverage=np.zeros(len(images), np.float32))

    spec = replace(SPEC, removals=(Layer(),))
    model = Blind(by_shape)
    (summed,) = summarize(
        spec, tabulated(spec, evaluate(spec, [picture(0)], {MODEL: model}, lambda _: None))
    )
    assert summed.summary.undefined == {Reason.ZERO_COVERAGE: 1}


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (KnownImage("a", label=1), "object masks"),
        (KnownImage("a", has_object=True), "label for every image"),
    ],
)
def test_masks_and_labels_that_lack_are_said_beforehand(known: KnownImage, words: str) -> None:
    facts = {MODEL: ToyPredictor(by_shape).facts}
    with pytest.raises(InvalidArgumentError, match=words) as caught:
        plan(SPEC, facts, Inventory.of([known]))
    assert caught.value.field == "metrics[0].mask_shape_bias"
