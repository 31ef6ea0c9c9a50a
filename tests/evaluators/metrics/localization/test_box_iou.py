from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from heatproof.evaluators.images.boxes import PixelBox, filled
from heatproof.evaluators.metrics import BoxIou
from heatproof.evaluators.outcomes import Curve
from tests.evaluators.metrics.localization.scoring import number, scored

SHAPE = (6, 7)


def regions(mask: np.ndarray) -> list[set[tuple[int, int]]]:
    """The 8-connected regions, first ones by rows first; written out, as an oracle."""
    left = [(int(row), int(column)) for row, column in np.argwhere(mask)]
    found: list[set[tuple[int, int]]] = []
    while left:
        region, queue = {left[0]}, deque([left[0]])
        while queue:
            row, column = queue.popleft()
            for other in left:
                near = max(abs(other[0] - row), abs(other[1] - column)) <= 1
                if near and other not in region:
                    region.add(other)
                    queue.append(other)
        left = [place for place in left if place not in region]
        found.append(region)
    return found


def boxed(region: set[tuple[int, int]]) -> np.ndarray:
    """The pixels of the box around a region."""
    rows, columns = zip(*region, strict=True)
    made = np.zeros(SHAPE, np.bool_)
    made[min(rows) : max(rows) + 1, min(columns) : max(columns) + 1] = True
    return made


def overlap(attribution: np.ndarray, threshold: float, objects: np.ndarray) -> float:
    positive = np.maximum(attribution, 0)
    heat = (positive - positive.min()) / (positive.max() - positive.min())
    hot = boxed(max(regions(heat >= threshold), key=len))
    boxes = [boxed(region) for region in regions(objects)]
    return max((hot & box).sum() / (hot | box).sum() for box in boxes)


MAPS = npst.arrays(np.float64, SHAPE, elements=st.integers(-4, 8).map(float)).filter(
    lambda made: np.ptp(np.maximum(made, 0)) > 0
)
OBJECTS = npst.arrays(np.bool_, SHAPE).filter(lambda made: made.any() and not made.all())


@given(MAPS, OBJECTS, st.sampled_from([0.125, 0.3, 0.5, 0.75]))
def test_boxes_are_compared_as_sets_of_pixels(
    attribution: np.ndarray, objects: np.ndarray, threshold: float
) -> None:
    expected = overlap(attribution, threshold, objects)
    found = scored(BoxIou(threshold, (0.5, 0.25, 0.5)), attribution, objects)
    assert found.score == pytest.approx(expected)
    assert found.parts == {"localized": float(expected >= 0.5)}
    overlaps = [overlap(attribution, tau, objects) for tau in (0.25, 0.5)]
    assert found.curves["overlap"].fractions == (0.25, 0.5)
    assert found.curves["overlap"].values == pytest.approx(overlaps)
    hits = tuple(float(one >= 0.5) for one in overlaps)
    assert found.curves["localized"] == Curve((0.25, 0.5), hits)


def test_boxes_that_came_are_taken_for_those_of_the_mask() -> None:
    heat = np.zeros((20, 20))
    heat[2:6, 3:9] = 1
    mask = np.zeros((20, 20), np.bool_)
    mask[10:12, 10:12] = True
    assert number(BoxIou(), heat, mask) == 0
    near = (PixelBox(3, 2, 9, 10), PixelBox(0, 15, 20, 20))
    assert scored(BoxIou(), heat, mask, boxes=near).score == pytest.approx(24 / 48)


def test_boxes_are_filled_without_their_far_edges() -> None:
    expected = np.zeros((5, 6), np.bool_)
    expected[1:3, 2:4] = expected[0:1, 0:6] = True
    assert (filled([PixelBox(2, 1, 4, 3), PixelBox(0, 0, 6, 1)], 5, 6) == expected).all()
    assert not filled([], 5, 6).any()


def test_the_largest_region_counts_and_not_the_hottest_or_a_diagonal_gap() -> None:
    heat = np.zeros((20, 20))
    heat[1, 1] = 10
    heat[5:8, 5:8] = heat[8:11, 8:11] = 4  # touch by a corner
    mask = np.zeros((20, 20), np.bool_)
    mask[5:11, 5:11] = True
    assert number(BoxIou(), heat, mask) == 1
    assert number(BoxIou(0.5), heat, mask) == 0


def test_the_best_threshold_is_chosen_on_the_mean_curve() -> None:
    mean = Curve((0.1, 0.5), (0.25, 0.75))
    assert BoxIou().described({"localized": mean}, {}) == {"max_box_accuracy": 0.75}
    assert BoxIou().described({}, {}) == {}
