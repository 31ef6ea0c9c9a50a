"""Estimates with intervals, as drawings and in words."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heatproof.client.report.page.whiskers import WHISKER_WIDTH, checked, compared
from heatproof.v1.comparison_pb2 import ModelDifference
from heatproof.v1.gate_pb2 import Check
from heatproof.v1.results_pb2 import Interval, Summary

SUMMARY = Summary(value=0.5, interval=Interval(lower=0.4, upper=0.625, level=0.95), scored=31)


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"min": 0.25}, "bound at least 0.25, "),
        ({"max": 0.75}, "bound at most 0.75, "),
        ({"min": 0.25, "max": 0.75}, "bound at least 0.25 and at most 0.75, "),
        ({}, ""),
    ],
)
def test_words_tell_score_interval_bound_and_images(bounds: dict[str, float], words: str) -> None:
    drawn = checked(SUMMARY, Check(**bounds))
    assert drawn is not None
    assert drawn.words == (f"score 0.5, 95 % interval from 0.4 to 0.625, {words}31 images scored")


def test_without_an_interval_words_say_so_and_without_a_score_there_is_no_drawing() -> None:
    drawn = checked(Summary(value=0.5, scored=3), Check(min=0.1))
    assert drawn is not None
    assert drawn.words == "score 0.5, no interval, bound at least 0.1, 3 images scored"
    assert checked(Summary(scored=3), Check(min=0.1)) is None


VALUES = st.floats(-1e3, 1e3).map(lambda value: round(value, 3))


@given(st.tuples(VALUES, VALUES, VALUES).map(sorted), VALUES, VALUES)
def test_the_drawing_keeps_the_order_of_the_numbers(
    ends: list[float], one: float, other: float
) -> None:
    low, value, high = ends
    least, most = sorted((one, other))
    held = Summary(value=value, interval=Interval(lower=low, upper=high), scored=1)
    drawn = checked(held, Check(min=least, max=most))
    assert drawn is not None
    assert 0 <= drawn.low <= drawn.dot <= drawn.high <= WHISKER_WIDTH
    assert drawn.allowed is not None
    allowed = (drawn.allowed.start, drawn.allowed.start + drawn.allowed.width)
    assert allowed == pytest.approx(drawn.bounds, abs=0.11)
    pixels = [*drawn.bounds, drawn.low, drawn.dot, drawn.high]
    for (number, at), (second, there) in zip(
        sorted(zip((least, most, low, value, high), pixels, strict=True)),
        sorted(zip((least, most, low, value, high), pixels, strict=True))[1:],
        strict=False,
    ):
        assert number == second or at <= there


@pytest.mark.parametrize(("bound", "ends"), [("min", (71, 150)), ("max", (0, 71))])
def test_what_a_bound_allows_goes_to_the_edge(bound: str, ends: tuple[float, float]) -> None:
    held = Summary(value=0, interval=Interval(lower=-1, upper=1.1268656716), scored=1)
    drawn = checked(held, Check(**{bound: 0.0}))
    assert drawn is not None
    assert drawn.allowed is not None
    found = (drawn.allowed.start, drawn.allowed.start + drawn.allowed.width)
    assert found == pytest.approx(ends, abs=0.1)


def difference(**held: Any) -> ModelDifference:
    return ModelDifference(**held)


def test_differences_of_one_quantity_share_a_scale_that_holds_0() -> None:
    narrow = difference(difference=0.5, interval=Interval(lower=0.4, upper=0.6, level=0.95))
    wide = difference(difference=1.0, interval=Interval(lower=0.8, upper=2.0, level=0.95))
    missing = difference()
    first, none, second = compared([narrow, missing, wide], ["7", "0", "7 of 9"])
    assert none is None
    assert first is not None
    assert second is not None
    assert first.bounds == second.bounds == (8.0,)
    assert (second.high - 8) == pytest.approx(4 * (first.dot - 8), abs=0.3)
    assert first.words == (
        "difference +0.5, 95 % interval from 0.4 to 0.6, 0 is no difference, 7 images"
    )
    assert second.words.endswith("7 of 9 images")
