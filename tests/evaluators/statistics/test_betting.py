"""Betting intervals against the published formulas read literally, laws, and simulated coverage."""

from math import inf, log, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatproof.evaluators.registry.parameters import UNIT, Range
from heatproof.evaluators.statistics.arms import Arm
from heatproof.evaluators.statistics.betting import (
    above,
    grouped_limits,
    mean_limits,
    ratio_limits,
)

RNG = np.random.default_rng(5)
SAMPLES = [RNG.beta(2, 8, 8), RNG.beta(20, 80, 30), RNG.random(60), (RNG.random(30) < 0.1) * 1.0]


def bets(scores: Any, alpha: float) -> list[float]:
    """The stakes `l_t` for a fixed number of scores, term by term."""
    n, means, stakes, variance = len(scores), [], [], 0.25
    for t in range(1, n + 1):
        stakes.append(sqrt(2 * log(2 / alpha) / (variance * n)))
        means.append((0.5 + sum(scores[:t])) / (t + 1))
        spread = sum((x - mean) ** 2 for x, mean in zip(scores, means, strict=False))
        variance = (0.25 + spread) / (t + 1)
    return stakes


def stands(scores: Any, mean: float, alpha: float) -> bool:
    """Whether neither player ever holds 2 / alpha, as the paper hedges them."""
    up = down = 1.0
    for x, stake in zip(scores, bets(scores, alpha), strict=True):
        up *= 1 + min(stake, 1 / (2 * mean) if mean else inf) * (x - mean)
        down *= 1 - min(stake, 1 / (2 * (1 - mean)) if mean < 1 else inf) * (x - mean)
        if max(up, down) / 2 >= 1 / alpha:
            return False
    return True


@pytest.mark.parametrize("scores", SAMPLES, ids=["wide", "narrow", "uniform", "hits"])
def test_the_limits_are_the_hull_of_what_stands_rounded_outwards(scores: Any) -> None:
    standing = [k for k in range(1001) if stands(scores, k / 1000, 0.05)]
    expected = max(0, standing[0] - 1) / 1000, min(1000, standing[-1] + 1) / 1000
    assert tuple(map(float, mean_limits(scores, 0.025))) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("scores", SAMPLES, ids=["wide", "narrow", "uniform", "hits"])
def test_a_ratio_over_one_and_groups_of_one_are_means(scores: Any) -> None:
    expected = pytest.approx(tuple(map(float, mean_limits(scores, 0.025))), abs=1e-12)
    arm = Arm.of_mean(scores)
    assert ratio_limits(arm, UNIT, UNIT, Range(1, 1), 0.025) == expected
    assert grouped_limits(arm, UNIT, 1, 0.025) == expected


def test_many_samples_at_once_are_each_alone() -> None:
    scores = RNG.random((7, 20))
    lower, upper = mean_limits(scores, 0.025)
    for row, low, high in zip(scores, lower, upper, strict=True):
        assert tuple(map(float, mean_limits(row, 0.025))) == (low, high)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=8, max_size=40))
def test_turning_the_scores_turns_the_limits(scores: list[float]) -> None:
    low, high = mean_limits(np.array(scores), 0.025)
    turned = mean_limits(1 - np.array(scores), 0.025)
    # One step where rounding of 1 - x decides.
    assert turned == pytest.approx((1 - high, 1 - low), abs=1.001e-3)
    assert 0 <= low <= np.mean(scores) <= high <= 1


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=8, max_size=30), st.floats(0.01, 0.2))
def test_a_smaller_chance_of_error_is_never_narrower_by_more_than_its_other_stakes(
    scores: list[float], tail: float
) -> None:
    held = np.array(scores)
    at_most = above(held, np.asarray(0.3), tail)
    # What a player holds only falls with the mean that it bets against.
    assert above(held, np.asarray(0.5), tail) <= at_most


def test_equal_groups_are_the_means_of_groups() -> None:
    means = RNG.beta(2, 5, 20)
    sums = Arm.of_ratio(4 * means, np.full(20, 4.0))
    expected = tuple(map(float, mean_limits(means, 0.025)))
    assert grouped_limits(sums, UNIT, 4, 0.025) == pytest.approx(expected, abs=1e-12)


def coverage(draw: Any, truth: float, trials: int = 400) -> float:
    rng = np.random.default_rng(1)
    held = [mean_limits(draw(rng), 0.025) for _ in range(trials)]
    return float(np.mean([low <= truth <= high for low, high in held]))


@pytest.mark.parametrize("n", [8, 30])
def test_it_covers_where_a_share_of_the_scores_is_zero(n: int) -> None:
    def draw(rng: np.random.Generator) -> Any:
        return np.where(rng.random(n) < 0.1, 0.0, rng.beta(18, 2, n))

    # At least 0.95 by theory; binomial standard error 0.011.
    assert coverage(draw, 0.9 * 0.9) >= 0.92


def test_a_ratio_of_bounded_means_is_covered() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(60):
        v = rng.beta(8, 2, 30)
        u = v * np.where(rng.random(30) < 0.2, 0.0, rng.beta(5, 5, 30))
        ends = ratio_limits(Arm.of_ratio(u, v), UNIT, UNIT, UNIT, 0.025)
        assert ends is not None
        covered += ends[0] <= 0.4 <= ends[1]
    # The ratio is 0.8 * 0.5, u and v having independent factors; at least 57 of 60 are expected.
    assert covered >= 54
