"""Where the object is: the mask that came with an image, or its boxes."""

from dataclasses import replace

import numpy as np
import pytest

from heatproof.evaluators.evaluation.engine import evaluate
from heatproof.evaluators.evaluation.results import ImageResult
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Centre
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import Frame, FramedBox, FramedMask, SourceImage
from heatproof.evaluators.metrics import AttributionLocalization, BoxIou
from heatproof.evaluators.outcomes import Reason, Undefined
from tests.evaluators.toys import SIDE, linear

SPEC = EvaluationSpec(
    models=("models/toy",),
    preprocessing=PRESETS["unit"],
    metrics=(AttributionLocalization(), BoxIou()),
    explainers=(Centre(),),
)
MODEL = linear(np.full((3, SIDE, SIDE), 1e-3))
PIXELS = np.random.default_rng(0).integers(0, 256, (2 * SIDE, 2 * SIDE, 3), dtype=np.uint8)
IMAGE = SourceImage("0" * 64, "x", PIXELS)
BOXES = (
    FramedBox(Frame.SOURCE, 8.0, 10.0, 40.0, 36.0),
    FramedBox(Frame.MODEL_INPUT, 20.0, 24.0, 90.0, 30.0),
)
INSIDE = np.zeros((SIDE, SIDE), np.bool_)
INSIDE[5:18, 4:20] = INSIDE[24:30, 20:SIDE] = True
MASK = FramedMask(Frame.MODEL_INPUT, INSIDE, "1" * 64)


def result(image: SourceImage) -> ImageResult:
    (found,) = evaluate(SPEC, [image], {"models/toy": MODEL}, lambda _: None)
    return found


def test_boxes_without_a_mask_are_filled_rectangles() -> None:
    by_boxes = result(replace(IMAGE, boxes=BOXES)).scores
    by_mask = result(replace(IMAGE, object_mask=MASK)).scores
    assert by_boxes == by_mask
    assert isinstance(by_boxes[0].score, float)
    assert by_boxes[0].parts["chance"] == INSIDE.mean()


def test_a_mask_says_more_than_boxes_but_of_boxes() -> None:
    far = (FramedBox(Frame.MODEL_INPUT, 0.0, 0.0, 3.0, 3.0),)
    by_both = result(replace(IMAGE, object_mask=MASK, boxes=far)).scores
    by_mask = result(replace(IMAGE, object_mask=MASK)).scores
    assert by_both[0] == by_mask[0]
    assert by_both[1] != by_mask[1]


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        (FramedBox(Frame.MODEL_INPUT, -9.0, 0.0, -1.0, 9.0), Reason.NO_OBJECT),
        (FramedBox(Frame.SOURCE, 0.0, 0.0, float(2 * SIDE), float(2 * SIDE)), Reason.FULL_OBJECT),
    ],
)
def test_boxes_outside_or_all_over_the_input_are_no_object(box: FramedBox, reason: Reason) -> None:
    for score in result(replace(IMAGE, boxes=(box,))).scores:
        assert isinstance(score.score, Undefined)
        assert score.score.reason is reason


def test_results_tell_objects_apart_by_mask_and_boxes() -> None:
    images = [
        IMAGE,
        replace(IMAGE, object_mask=MASK),
        replace(IMAGE, boxes=BOXES),
        replace(IMAGE, boxes=BOXES[:1]),
        replace(IMAGE, boxes=(replace(BOXES[0], frame=Frame.MODEL_INPUT),)),
        replace(IMAGE, object_mask=MASK, boxes=BOXES),
    ]
    digests = [result(image).object_mask for image in images]
    assert digests[:2] == ["", "1" * 64]
    assert len(set(digests)) == len(images)
    assert all(len(digest) == 64 for digest in digests[1:])
