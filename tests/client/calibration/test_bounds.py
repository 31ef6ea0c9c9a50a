"""Where bounds lie, as laws."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heatproof.client.calibration.bounds import Bound, Standing, below, bound_of
from heatproof.v1.results_pb2 import Direction, Interval, Summary

HIGHER = Direction.DIRECTION_HIGHER_IS_BETTER
LOWER = Direction.DIRECTION_LOWER_IS_BETTER
SCORES, ARMS = st.floats(-1, 1), st.floats(0, 0.3)


def summary(lower: float, value: float, upper: float) -> Summary:
    return Summary(value=value, interval=Interval(lower=lower, upper=upper), scored=30)


def mirrored(held: Summary) -> Summary:
    return summary(-held.interval.upper, -held.value, -held.interval.lower)


@st.composite
def summaries(draw: Any) -> Summary:
    """Intervals narrow enough to lie clear of each other as often as not."""
    value, below, above = draw(st.tuples(SCORES, ARMS, ARMS))
    return summary(value - below, value, value + above)


MAPS = st.tuples(summaries(), st.fixed_dictionaries({"random": summaries(), "centre": summaries()}))


def is_clear(own: Summary, other: Summary) -> bool:
    gap = own.interval.lower - other.interval.upper
    return gap > 0 and gap >= own.value - own.interval.lower


@given(MAPS)
def test_a_check_lets_its_own_interval_through_and_not_what_it_is_held_against(
    maps: tuple[Summary, dict[str, Summary]],
) -> None:
    own, controls = maps
    bound = bound_of(own, controls, HIGHER)
    rival = max(controls, key=lambda name: controls[name].interval.upper)
    clear = {name: is_clear(own, controls[name]) for name in (rival, "random")}
    assert (bound.standing is Standing.CHECK) == any(clear.values())
    if bound.standing is Standing.CHECK:
        assert bound.rival == (rival if clear[rival] else "random")
        assert bool(bound.reason) == (not clear[rival])
        best = controls[bound.rival].interval.upper
        gap = own.interval.lower - best
        assert bound.value is not None
        assert best + gap / 4 <= bound.value <= own.interval.lower - gap / 4


@given(MAPS)
def test_a_warning_lets_its_own_score_through(maps: tuple[Summary, dict[str, Summary]]) -> None:
    own, controls = maps
    bound = bound_of(own, controls, HIGHER)
    best = max(one.value for one in controls.values())
    if bound.standing is Standing.WARNING:
        assert bound.value is not None
        assert best < bound.value < own.value
        assert bound.reason
    if bound.standing is Standing.LEFT_OUT:
        assert own.value <= best
        assert bound.value is None


def test_a_blind_map_that_comes_near_leaves_noise_to_be_held_against() -> None:
    """Occlusion-corrected deletion of Grad-CAM on 35 photographs, objects mostly in the middle."""
    controls = {"random": summary(-0.188, 0.012, 0.199), "centre": summary(0.562, 0.768, 0.966)}
    bound = bound_of(summary(0.978, 1.094, 1.26), controls, HIGHER)
    assert bound == Bound(Standing.CHECK, 0.59, "random", "centre comes too near")


@given(MAPS)
def test_what_is_better_lower_mirrors_what_is_better_higher(
    maps: tuple[Summary, dict[str, Summary]],
) -> None:
    own, controls = maps
    other = bound_of(mirrored(own), {name: mirrored(one) for name, one in controls.items()}, LOWER)
    bound = bound_of(own, controls, HIGHER)
    value = None if bound.value is None else -bound.value
    assert other == Bound(bound.standing, value, bound.rival, bound.reason)


@pytest.mark.parametrize(
    ("own", "control", "expected"),
    [
        ((0.51, 0.6, 0.7), (-0.1, 0.0, 0.1), 0.3),  # in the middle: 0.305, in two digits
        ((0.104, 0.107, 0.2), (0.0, 0.05, 0.1), 0.102),  # no room for two digits
    ],
)
def test_bounds_have_no_more_digits_than_they_need(
    own: tuple[float, float, float], control: tuple[float, float, float], expected: float
) -> None:
    bound = bound_of(summary(*own), {"random": summary(*control)}, HIGHER)
    assert bound == Bound(Standing.CHECK, expected, "random")


def test_scores_that_are_all_equal_need_no_interval() -> None:
    equal = Summary(value=1.0, standard_error=0.0, scored=30)
    bound = bound_of(summary(0.1, 0.2, 0.4), {"random": equal}, LOWER)
    assert bound == Bound(Standing.CHECK, 0.7, "random")


@pytest.mark.parametrize("own", [Summary(), Summary(value=0.9, scored=5)])
def test_what_has_no_interval_is_left_out(own: Summary) -> None:
    controls = {"random": summary(-0.1, 0.0, 0.1)}
    assert bound_of(own, controls, HIGHER).standing is Standing.LEFT_OUT
    assert bound_of(summary(0.5, 0.6, 0.7), {"random": own}, HIGHER).standing is Standing.LEFT_OUT


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_room_below_an_interval_is_that_between_its_end_and_the_score(
    first: float, second: float
) -> None:
    lower, value = sorted((first, second))
    bound = below(value, lower)
    assert bound >= 0
    assert max(0, 2 * lower - value - 0.01) <= bound <= max(0, 2 * lower - value) + 1e-9
