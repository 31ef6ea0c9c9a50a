"""The paired permutation test against enumeration and SciPy; Holm against its definition."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from heatproof.evaluators.statistics.arms import Arm
from heatproof.evaluators.statistics.permutation import (
    Trial,
    holm,
    paired_p_values,
    smallest_p_value,
)


def same(values: Any) -> Any:
    return values


def trial(candidate: Any, baseline: Any, badness: Any = same) -> Any:
    return Trial(
        Arm.of_mean(np.asarray(candidate, float)), Arm.of_mean(np.asarray(baseline, float)), badness
    )


def p_value(one: Any, seed: Any = 0) -> Any:
    return paired_p_values([one], seed=seed)[0]


def enumerated(one: Any) -> Any:
    """The p-value by brute force over all swaps, in plain Python."""
    c, b = one.candidate, one.baseline
    pairs = list(zip(c.numerators, c.denominators, b.numerators, b.denominators, strict=True))

    def statistic(swaps: Any) -> Any:
        mine = [p[2:] if s else p[:2] for s, p in zip(swaps, pairs, strict=True)]
        theirs = [p[:2] if s else p[2:] for s, p in zip(swaps, pairs, strict=True)]
        first, second = (
            sum(u for u, _ in side) / sum(v for _, v in side) for side in (mine, theirs)
        )
        return one.badness(first) - one.badness(second)

    patterns = list(itertools.product([False, True], repeat=len(pairs)))
    observed = statistic(patterns[0])
    return sum(statistic(s) >= observed - 1e-12 for s in patterns) / len(patterns)


@pytest.mark.parametrize("badness", [same, np.negative, np.abs])
@pytest.mark.parametrize("n", [1, 5, 9])
def test_small_samples_of_ratios_equal_enumeration(badness: Any, n: Any) -> None:
    rng = np.random.default_rng(n)
    u, w = rng.normal(size=(2, n))
    v, z = rng.uniform(0.5, 2, (2, n))
    one = Trial(Arm.of_ratio(u, v), Arm.of_ratio(w, z), badness)
    assert p_value(one) == enumerated(one)


def test_it_equals_scipy_on_paired_means() -> None:
    a, b = np.random.default_rng(0).normal(0.3, 1, (2, 10))
    a += 0.5
    expected = stats.permutation_test(
        (a, b), lambda x, y: np.mean(x - y), permutation_type="samples", alternative="greater"
    )
    assert p_value(trial(a, b)) == pytest.approx(expected.pvalue, abs=1e-12)


def test_thirteen_pairs_are_sampled_with_the_plus_one_rule() -> None:
    p = p_value(trial(np.ones(13), np.zeros(13)))
    # One pattern in 8,192 is as extreme: 1.2 of 9,999 are expected.
    assert p * 10_000 == pytest.approx(round(p * 10_000), abs=1e-9)
    assert 1e-4 <= p <= 8e-4
    assert p_value(trial(np.ones(60), np.zeros(60))) == 1e-4


def test_sampled_p_values_approach_the_exact_one() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 14))
    exact = enumerated(trial(a + 0.4, b))
    # Standard error over 9,999 swaps: at most 0.005.
    assert p_value(trial(a + 0.4, b)) == pytest.approx(exact, abs=0.015)


def test_all_equal_gives_one() -> None:
    values = np.random.default_rng(0).random(9)
    assert p_value(trial(values, values)) == 1.0
    assert p_value(trial(np.tile(values, 3), np.tile(values, 3))) == 1.0


def test_ties_by_rounding_count_against_the_claim() -> None:
    # 0.1 + 0.2 - 0.3 is not 0 in floating point; the eight differences below are +-0.1 by thirds.
    candidate = np.array([0.3, 0.1, 0.7, 0.1, 0.3, 0.9, 0.2, 0.6])
    baseline = np.array([0.2, 0.2, 0.6, 0.2, 0.2, 1.0, 0.1, 0.7])
    # Four differences up and four down: P(sum >= 0) of eight fair signs.
    expected = float(stats.binom.sf(3, 8, 0.5))
    assert p_value(trial(candidate, baseline)) == expected
    assert p_value(trial(1e-9 * candidate, 1e-9 * baseline)) == expected
    assert p_value(trial(1e9 * candidate, 1e9 * baseline)) == expected


@pytest.mark.parametrize("n", [10, 40])
def test_images_that_are_not_scored_and_other_trials_change_little(n: Any) -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, n))
    holes = np.full(n + 5, np.nan)
    holed_a, holed_b = holes.copy(), holes.copy()
    holed_a[:n], holed_b[:n] = a + 0.3, b
    together = paired_p_values([trial(a + 0.3, b), trial(b, a)], seed=2)
    assert together[0] == p_value(trial(a + 0.3, b), seed=2)
    # Other images draw other swaps: the resampling error is at most 0.007.
    tolerance = 0 if n == 10 else 0.02
    assert p_value(trial(holed_a, holed_b)) == pytest.approx(together[0], abs=tolerance)


def test_it_keeps_its_level_where_arms_are_near_zero() -> None:
    # Both arms around 0: fixing the signs by the estimates would break the exchange.
    rng = np.random.default_rng(7)
    samples = rng.normal(size=(400, 2, 9))
    rejected = np.mean([p_value(trial(a, b, np.abs)) <= 0.05 for a, b in samples])
    # Binomial standard error 0.011.
    assert rejected <= 0.08


def test_the_smallest_p_value_is_that_of_one_pattern() -> None:
    assert smallest_p_value(8) == 1 / 256 == p_value(trial(np.ones(8), np.zeros(8)))
    assert smallest_p_value(12) == 1 / 4096
    assert smallest_p_value(13) == 1e-4


def reference_holm(p_values: Any) -> Any:
    """By definition: the largest of (m - j + 1) p_(j) over the smaller p-values, capped at 1."""
    ordered = sorted(p_values)
    m = len(ordered)
    return tuple(
        min(1.0, max((m - j) * q for j, q in enumerate(ordered) if q <= p)) for p in p_values
    )


def test_holm_follows_the_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_equals_its_definition(p_values: Any) -> None:
    assert holm(p_values) == pytest.approx(reference_holm(p_values))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.integers(0, 5))
def test_tests_that_were_not_made_count_as_one(p_values: Any, others: Any) -> None:
    tests = len(p_values) + others
    padded = holm([*p_values, *[1.0] * others])
    assert holm(p_values, tests=tests) == padded[: len(p_values)]
