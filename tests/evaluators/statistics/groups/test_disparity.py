"""The worst group against the best: closed forms, laws, and how often the interval errs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.registry.parameters import UNIT
from heatproof.evaluators.statistics.arms import Arm
from heatproof.evaluators.statistics.groups.disparity import gap, is_comparable, joint_level
from heatproof.evaluators.statistics.intervals import Measured, intervals
from heatproof.evaluators.statistics.reductions import Mean

UP, DOWN, ZERO = Direction.HIGHER_IS_BETTER, Direction.LOWER_IS_BETTER, Direction.CLOSER_TO_ZERO
ENDS = ((0.1, 0.3), (0.5, 0.9), (0.35, 0.45))


def test_the_lowest_is_worst_where_higher_is_better() -> None:
    found = gap((0.2, 0.7, 0.4), ENDS, UP)
    assert (found.worst, found.best) == (0, 1)
    assert found.value == pytest.approx(0.5)
    assert found.ends == pytest.approx((0.5 - 0.3, 0.9 - 0.1))


def test_the_highest_is_worst_where_lower_is_better() -> None:
    found = gap((0.2, 0.7, 0.4), ENDS, DOWN)
    assert (found.worst, found.best) == (1, 0)
    assert found.ends == pytest.approx((0.2, 0.8))


def test_the_farthest_from_zero_is_worst_where_zero_is_best() -> None:
    found = gap((-0.6, 0.2, 0.0), ((-0.8, -0.4), (0.1, 0.3), (-0.1, 0.2)), ZERO)
    assert (found.worst, found.best) == (0, 2)
    assert found.value == pytest.approx(0.6)
    # Of magnitudes in .4 to .8, .1 to .3 and 0 to .2.
    assert found.ends == pytest.approx((0.4 - 0.2, 0.8 - 0.0))


def test_a_group_without_an_interval_leaves_the_difference_without() -> None:
    assert gap((0.2, 0.7), ((0.1, 0.3), None), UP).ends is None


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=6), st.sampled_from(Direction))
def test_the_difference_is_in_its_interval_and_not_negative(
    values: list[float], direction: Direction
) -> None:
    found = gap(values, [(value - 0.1, value + 0.2) for value in values], direction)
    assert found.ends is not None
    assert 0 <= found.ends[0] <= found.value + 1e-12
    assert found.value <= found.ends[1] + 1e-12


@pytest.mark.parametrize(("groups", "expected"), [(1, False), (2, True), (20, True), (21, False)])
def test_so_many_groups_are_compared(groups: int, expected: bool) -> None:
    assert is_comparable(groups) is expected


def test_intervals_that_hold_together_are_wider_each() -> None:
    assert joint_level(0.95, 5) == pytest.approx(0.99)


def test_equal_groups_are_told_to_differ_no_more_often_than_stated() -> None:
    """Six groups of 15 images from one population: the chosen worst and best always differ."""
    rng, trials, erred, differing = np.random.default_rng(5), 40, 0, 0
    for _ in range(trials):
        scores = [rng.beta(4, 2, 15) for _ in range(6)]
        measured = [Measured.of(Arm.of_mean(each), Mean(UNIT)) for each in scores]
        made = intervals(measured, seed=0, level=joint_level(0.95, 6))
        ends = [None if one is None else (one.lower, one.upper) for one in made]
        found = gap([float(each.mean()) for each in scores], ends, UP)
        differing += found.value > 0.05
        assert found.ends is not None
        erred += found.ends[0] > 0
    assert differing > trials / 2
    assert erred <= 0.05 * trials + 2
