"""How scores of images become one: means, proportions and ratios of means."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heatproof.evaluators.evaluation.columns import Quantity, ScoreColumn
from heatproof.evaluators.evaluation.summaries import summaries_of
from heatproof.evaluators.registry.parameters import UNBOUNDED, UNIT, Range
from heatproof.evaluators.statistics.arms import Arm
from heatproof.evaluators.statistics.groups.units import Units
from heatproof.evaluators.statistics.intervals import Measured, intervals
from heatproof.evaluators.statistics.reductions import (
    Entropy,
    Mean,
    Proportion,
    RatioOfMeans,
    Reduction,
)

RATIO = RatioOfMeans(("a", "b"), ("a", ""), 0.0, part_range=UNIT)
NUMBERS = st.one_of(st.just(math.nan), st.floats(-8, 8))
SMALLEST = 1e-200


def test_a_ratio_beyond_all_floats_is_infinite() -> None:
    arm = RatioOfMeans(("a", ""), ("c", ""), 0.0).contrast(
        np.array([1.0]), {"a": np.array([4.0]), "c": np.array([2.2250738585072014e-308])}
    )
    assert arm.estimate() == np.inf


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=20))
def test_a_ratio_sums_the_images_that_have_a_score_and_every_part(
    rows: list[tuple[float, float, float]],
) -> None:
    score, a, b = np.array(rows, np.float64).T
    arm = RATIO.contrast(score, {"a": a, "b": b})
    whole = [row for row in rows if all(map(math.isfinite, row))]
    assert arm.scored.tolist() == [all(map(math.isfinite, row)) for row in rows]
    below = math.fsum(row[1] for row in whole)
    if abs(below) > SMALLEST:  # else the ratio may be beyond all floats
        above = math.fsum(row[1] - row[2] for row in whole)
        terms = sum(abs(row[1]) + abs(row[2]) for row in whole)
        assert arm.estimate() * below == pytest.approx(above, abs=1e-12 * (1 + terms / abs(below)))


@pytest.mark.parametrize("reduction", [Mean(), Mean(UNIT, (0.0,)), Proportion()])
def test_means_and_proportions_average_what_is_finite(reduction: Reduction) -> None:
    arm = reduction.contrast(np.array([1.0, math.nan, 0.0, 1.0]), {})
    assert (arm.count, arm.estimate()) == (3, 2 / 3)


@pytest.mark.parametrize(
    ("reduction", "is_bounded"),
    [
        (Mean(), False),
        (Mean(Range(0, math.inf)), False),
        (Mean(UNIT), True),
        (Proportion(), True),
        (RATIO, False),
        (RatioOfMeans(("a", ""), ("b", ""), 0.0, UNIT), False),
        (RatioOfMeans(("a", ""), ("b", ""), 0.0, UNIT, part_range=UNIT), True),
    ],
)
def test_only_sums_of_finite_range_are_bounded(reduction: Reduction, *, is_bounded: bool) -> None:
    assert reduction.is_bounded is is_bounded


def test_a_ratio_reads_each_part_once() -> None:
    assert RATIO.parts == ("a", "b")
    assert RatioOfMeans(("x", "y"), ("x", "z"), 0.0).parts == ("x", "y", "z")
    assert (Mean().parts, Proportion().parts) == ((), ())


def test_equal_reductions_are_one_value() -> None:
    assert {Mean(UNIT), Mean(UNIT), Mean(UNBOUNDED), Proportion(), Proportion()} == {
        Mean(UNIT),
        Mean(),
        Proportion(),
    }


def test_limits_of_a_mean_scale_with_its_range() -> None:
    scores = np.random.default_rng(3).beta(4, 2, 60)
    narrow = Mean(UNIT).betting_limits(Arm.of_mean(scores), grouped=False, largest=1, tail=0.025)
    wide = Mean(Range(-2, 6)).betting_limits(
        Arm.of_mean(8 * scores - 2), grouped=False, largest=1, tail=0.025
    )
    assert narrow is not None
    assert wide == pytest.approx([8 * end - 2 for end in narrow], abs=1e-9)
    assert narrow[0] < scores.mean() < narrow[1]


@given(st.lists(st.one_of(st.just(math.nan), st.integers(0, 4).map(float)), min_size=1))
def test_an_entropy_is_that_of_the_histogram_of_what_is_scored(classes: list[float]) -> None:
    arm = Entropy().contrast(np.array(classes), {})
    held = [value for value in classes if not math.isnan(value)]
    found = Entropy().estimate(arm, arm)
    if not held:
        assert math.isnan(found)
        return
    shares = [held.count(value) / len(held) for value in set(held)]
    assert found == pytest.approx(-sum(p * math.log(p + 1e-7) for p in shares), abs=1e-12)
    assert -1e-7 <= found <= Entropy.ceiling(len(held), 5) + 1e-12


def test_equally_many_images_of_every_class_reach_the_ceiling() -> None:
    arm = Entropy().contrast(np.repeat(np.arange(4.0), 6), {})
    assert Entropy().estimate(arm, arm) == pytest.approx(Entropy.ceiling(24, 4), abs=1e-6)
    one = Entropy().contrast(np.full(9, 3.0), {})
    assert Entropy().estimate(one, one) == pytest.approx(0, abs=1e-6)


def test_a_score_of_the_set_has_no_interval() -> None:
    arm = Entropy().contrast(np.arange(40.0) % 3, {})
    assert intervals([Measured(arm, Entropy())], seed=0, level=0.95) == [None]
    summary = summaries_of(
        [Quantity.of(ScoreColumn.of((np.arange(40.0) % 3).tolist()), Entropy(), {})],
        Units.of([str(place) for place in range(40)], [""] * 40, seed=0),
        seed=0,
    )[0]
    assert summary.value == pytest.approx(math.log(3), abs=1e-3)
    assert (summary.standard_error, summary.interval, summary.scored) == (None, None, 40)
