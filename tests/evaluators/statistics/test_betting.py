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
    Horizon,
    above,
    fortunes,
    grouped_limits,
    mean_limits,
    p_values,
    ratio_limits,
)

RNG = np.random.default_rng(5)
SAMPLES = [RNG.beta(2, 8, 8), RNG.beta(20, 80, 30), RNG.random(60), (RNG.random(30) < 0.1) * 1.0]


def bets(scores: Any, alpha: float, horizon: Horizon) -> list[float]:
    """The stakes `l_t`, term by term."""
    n, means, stakes, variance = len(scores), [], [], 0.25
    for t in range(1, n + 1):
        spread_over = n if horizon is Horizon.FIXED else t * log(1 + t)
        stakes.append(sqrt(2 * log(2 / alpha) / (variance * spread_over)))
        means.append((0.5 + sum(scores[:t])) / (t + 1))
        spread = sum((x - mean) ** 2 for x, mean in zip(scores, means, strict=False))
        variance = (0.25 + spread) / (t + 1)
    return stakes


def standing(scores: Any, alpha: float, horizon: Horizon) -> list[int]:
    """Thousandths that are means for which neither player ever holds 2 / alpha, as hedged."""
    stakes = bets(scores, alpha, horizon)

    def stands(mean: float) -> bool:
        up = down = 1.0
        for x, stake in zip(scores, stakes, strict=True):
            up *= 1 + min(stake, 1 / (2 * mean) if mean else inf) * (x - mean)
            down *= 1 - min(stake, 1 / (2 * (1 - mean)) if mean < 1 else inf) * (x - mean)
            if max(up, down) / 2 >= 1 / alpha:
                return False
        return True

    return [k for k in range(1001) if stands(k / 1000)]


@pytest.mark.parametrize("horizon", Horizon)
@pytest.mark.parametrize("scores", SAMPLES, ids=["wide", "narrow", "uniform", "hits"])
def test_the_limits_are_the_hull_of_what_stands_rounded_outwards(
    scores: Any, horizon: Horizon
) -> None:
    left = standing(scores, 0.05, horizon)
    expected = max(0, left[0] - 1) / 1000, min(1000, left[-1] + 1) / 1000
    found = mean_limits(scores, 0.025, horizon)
    assert tuple(map(float, found)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("mean", [0.0, 0.1, 0.5, 1.0])
def test_a_p_value_is_what_the_player_has_made_of_one(mean: float) -> None:
    for scores in SAMPLES:
        held = most = 1.0
        for x, stake in zip(scores, bets(scores, 0.05, Horizon.OPEN), strict=True):
            held *= 1 + min(stake, 1 / (2 * mean) if mean else inf) * (x - mean)
            most = max(most, held)
        found = p_values(scores, np.asarray(mean), 0.025)
        assert float(found) == pytest.approx(1 / most, rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=40), st.floats(0, 1))
def test_a_sequence_never_takes_back_what_it_has_ruled_out(
    scores: list[float], mean: float
) -> None:
    held, level = np.array(scores), np.asarray(mean)
    prefixes = [held[:t] for t in range(1, len(held) + 1)]
    limits = [mean_limits(prefix, 0.025, Horizon.OPEN) for prefix in prefixes]
    left = [(float(low), float(high)) for low, high in limits if low <= high]
    assert (
        left
        == [  # those of which no mean is left come last
            (float(low), float(high)) for low, high in limits[: len(left)]
        ]
    )
    lows, highs = zip(*left, strict=True)
    assert (list(lows), list(highs)) == (sorted(lows), sorted(highs, reverse=True))
    found = [float(p_values(prefix, level, 0.025)) for prefix in prefixes]
    assert found == sorted(found, reverse=True)
    assert 0 < found[-1] <= 1
    at_once = fortunes(held, level, 0.025, Horizon.OPEN)
    assert np.exp(-at_once) == pytest.approx(found, rel=1e-12)


DRAWS: dict[str, Any] = {
    "proportion": (0.1, lambda rng, size: (rng.random(size) < 0.1) * 1.0),
    "narrow": (0.2, lambda rng, size: rng.beta(20, 80, size)),
    "rare and large": (0.05, lambda rng, size: np.where(rng.random(size) < 0.05, 1.0, 0.0)),
    "wide": (0.5, lambda rng, size: rng.beta(0.3, 0.3, size)),
}


@pytest.mark.parametrize("name", DRAWS)
def test_whoever_looks_after_every_unit_errs_as_seldom_as_he_may(name: str) -> None:
    """Ville's inequality: each limit passes the mean, ever, in at most 2.5 % of runs."""
    mean, draw = DRAWS[name]
    scores, level = draw(np.random.default_rng(11), (2000, 400)), np.full(2000, mean)
    for side, supposed in ((scores, level), (1 - scores, 1 - level)):
        ever = fortunes(side, supposed, 0.025, Horizon.OPEN)[:, -1] >= -np.log(0.025)
        assert ever.mean() <= 0.025 + 3 * sqrt(0.025 / 2000)


def test_stakes_for_a_fixed_number_win_more_at_that_number_and_less_before() -> None:
    """Else the horizon would be for show."""
    scores = np.random.default_rng(3).beta(20, 80, (200, 300))
    for units, fixed_wins in ((40, False), (300, True)):
        fixed = fortunes(scores, np.full(200, 0.18), 0.025, Horizon.FIXED)[:, units - 1]
        open_ = fortunes(scores, np.full(200, 0.18), 0.025, Horizon.OPEN)[:, units - 1]
        assert (fixed.mean() > open_.mean()) == fixed_wins


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
