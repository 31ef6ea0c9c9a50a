"""Boxes as regions: carried into the input frame, drawn over each other, read or missed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.engine import evaluate, explain
from heatproof.evaluators.evaluation.plan import plan
from heatproof.evaluators.evaluation.requirements import reads_of_images
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Lime, Random
from heatproof.evaluators.images.boxes import PixelBox, boxes_to_input
from heatproof.evaluators.images.frames import mask_to_input
from heatproof.evaluators.images.inventory import Inventory, KnownImage
from heatproof.evaluators.images.preprocessing import PRESETS, Preprocessing, Resize
from heatproof.evaluators.images.sources import Frame, FramedBox, FramedMask, SourceImage
from heatproof.evaluators.metrics import SegmentRemoval, SingleDeletionCorrelation
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.regions import Boxes
from heatproof.evaluators.removal import Black, Layer
from tests.evaluators.toys import SIDE, facts, linear, pixels

WEIGHTS = np.random.default_rng(0).normal(0, 4e-3, (3, SIDE, SIDE))
SPEC = EvaluationSpec(
    models=("models/toy",),
    preprocessing=PRESETS["unit"],
    metrics=(SegmentRemoval(Boxes(2), fractions=2),),
    removals=(Black(),),
)

ends = st.tuples(st.integers(0, SIDE), st.integers(0, SIDE)).filter(lambda e: e[0] != e[1])
boxes = st.tuples(ends, ends).map(
    lambda held: PixelBox(min(held[0]), min(held[1]), max(held[0]), max(held[1]))
)


@given(st.lists(boxes, max_size=5), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_a_pixel_belongs_to_the_smallest_box_else_to_its_square(
    drawn: list[PixelBox], side: int
) -> None:
    found = Boxes(side).regions_within(pixels(), drawn).labels
    starts = [SIDE * index // side for index in range(side)]

    def owner(row: int, column: int) -> tuple[str, int, int]:
        holding = [
            (box.area, place)
            for place, box in enumerate(drawn)
            if box.left <= column < box.right and box.top <= row < box.bottom
        ]
        if holding:
            return ("box", *min(holding))
        return ("cell", sum(s <= row for s in starts), sum(s <= column for s in starts))

    numbers: dict[tuple[str, int, int], int] = {}
    for row in range(SIDE):
        for column in range(SIDE):
            own = numbers.setdefault(owner(row, column), len(numbers))
            assert found[row, column] == own
    assert len(numbers) <= Boxes(side).most(SIDE, SIDE)


def test_boxes_inside_of_each_other_become_rings() -> None:
    """The authors' segments: concentric squares, the innermost with the highest number."""
    nested = [PixelBox(16 - half, 16 - half, 16 + half, 16 + half) for half in range(15, 0, -5)]
    found = Boxes(1).regions_within(pixels(), nested)
    assert found.areas.tolist() == [SIDE**2 - 30**2, 30**2 - 20**2, 20**2 - 10**2, 10**2]


def edges_of(
    preprocessing: Preprocessing, down: tuple[int, int], across: tuple[int, int]
) -> list[tuple[float, int]]:
    """Edges in the source of 40 x 32 pixels, each with the factor that it is resized by."""
    if preprocessing.resize is Resize.STRETCH:
        factors = preprocessing.height / 40, preprocessing.width / 32
    else:
        factors = (25 / 40, 20 / 32)
    return [
        (factor, edge)
        for factor, held in zip(factors, (down, across), strict=True)
        for edge in held
    ]


@pytest.mark.parametrize("frame", Frame)
@pytest.mark.parametrize(
    "preprocessing",
    [
        Preprocessing(resize=Resize.STRETCH, height=16, width=24),
        Preprocessing(resize=Resize.SHORTEST_SIDE, height=16, width=16, crop_fraction=0.8),
    ],
)
@given(ends, ends)
@settings(max_examples=25, deadline=None)
def test_a_box_goes_where_a_mask_of_its_pixels_goes(
    frame: Frame, preprocessing: Preprocessing, across: tuple[int, int], down: tuple[int, int]
) -> None:
    """Of both those pixels are left whose centres come from inside."""
    size = (preprocessing.height, preprocessing.width) if frame is Frame.MODEL_INPUT else (40, 32)
    (left, right), (top, bottom) = sorted(across), sorted(down)
    # Where an edge meets a centre, Pillow's rounding decides of the mask.
    assume(
        not any(
            (factor * edge) % 1 == 0.5 for factor, edge in edges_of(preprocessing, down, across)
        )
    )
    marked = np.zeros(size, np.bool_)
    marked[top:bottom, left:right] = True
    mask = mask_to_input(FramedMask(frame, marked), (40, 32), preprocessing)
    framed = FramedBox(frame, float(left), float(top), float(right), float(bottom))
    carried = boxes_to_input([framed], (40, 32), preprocessing)
    filled = np.zeros_like(mask)
    for box in carried:
        assert box.area > 0
        filled[box.top : box.bottom, box.left : box.right] = True
    np.testing.assert_array_equal(filled, mask)


def picture(*held: FramedBox) -> SourceImage:
    drawn = np.random.default_rng(4).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    return SourceImage(f"{len(held):064x}", "a.png", drawn, boxes=held)


BOX = FramedBox(Frame.SOURCE, 4.0, 6.0, 20.0, 14.0)


def test_a_metric_removes_the_boxes_of_its_image() -> None:
    """Of the box and four cells two are removed in the first step, all in the second."""
    model = linear(WEIGHTS)
    list(evaluate(SPEC, [picture(BOX)], {"models/toy": model}, lambda _: None))
    painted = [(image == 0).all(axis=0) for batch in model.batches for image in batch]
    part = next(mask for mask in painted if mask.any() and not mask.all())
    inside = np.zeros((SIDE, SIDE), np.bool_)
    inside[6:14, 4:20] = True
    assert part[inside].all() or not part[inside].any()
    quarters = [
        part[rows, columns][~inside[rows, columns]]
        for rows in (slice(16), slice(16, 32))
        for columns in (slice(16), slice(16, 32))
    ]
    hidden = [quarter.all() for quarter in quarters]
    assert all(quarter.all() or not quarter.any() for quarter in quarters)
    assert sum(hidden) + part[inside].all() == 2


def test_an_image_without_a_box_has_a_status() -> None:
    outside = replace(BOX, left=100.0, right=120.0)
    for image in (picture(), picture(outside)):
        (found,) = evaluate(SPEC, [image], {"models/toy": linear(WEIGHTS)}, lambda _: None)
        score = found.scores[0].score
        assert isinstance(score, Undefined)
        assert score.reason is Reason.NO_OBJECT
    spec = replace(SPEC, metrics=(), removals=(), explainers=(Lime(Boxes(2), samples=8), Random(4)))
    lime, random = explain(spec, [picture()], linear(WEIGHTS))
    assert isinstance(lime.values, Undefined)
    assert not isinstance(random.values, Undefined)


def test_a_set_without_boxes_is_refused_and_what_is_read_is_told() -> None:
    models = {"models/toy": facts()}
    assert reads_of_images(SPEC) == ("boxes",)
    assert plan(SPEC, models, Inventory.of([KnownImage("a", has_boxes=True), KnownImage("b")]))
    lime = replace(SPEC, metrics=(SingleDeletionCorrelation(),), explainers=(Lime(Boxes(2)),))
    for spec, field in ((SPEC, "metrics[0].segment_removal"), (lime, "explainers[0].lime")):
        with pytest.raises(InvalidArgumentError, match="send boxes with the images") as caught:
            plan(spec, models, Inventory.of([KnownImage("a")]))
        assert caught.value.field == field


def test_squares_that_close_again_inside_the_network_are_refused() -> None:
    spec = replace(SPEC, metrics=(SegmentRemoval(Boxes(5)),), removals=(Layer(),))
    with pytest.raises(InvalidArgumentError, match="at most 4") as caught:
        plan(spec, {"models/toy": facts()}, Inventory.of([KnownImage("a", has_boxes=True)]))
    assert caught.value.field == "metrics[0].segment_removal.regions.boxes.side"
