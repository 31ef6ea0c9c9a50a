"""The sign-flip test against enumeration, SciPy and McNemar; Holm against its definition."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from heatproof.evaluators.statistics.arms import Arm, ArmContrast
from heatproof.evaluators.statistics.permutation import (
    holm,
    permutations_for,
    sign_flip_p_values,
    smallest_p_value,
    smallest_two_sided_p_value,
    two_sided_p_values,
)
from heatproof.evaluators.statistics.proportions import mcnemar_p_value


def drop(values: Any) -> ArmContrast:
    return ArmContrast((Arm.of_mean(np.asarray(values, float)),))


def p_value(one: Any, allowed: float = 0.0, seed: int = 0) -> float:
    contrast = one if isinstance(one, ArmContrast) else drop(one)
    return sign_flip_p_values([contrast], [allowed], seed=seed)[0]


def enumerated(beyond: Any) -> float:
    """The p-value by brute force over all signs, in plain Python."""
    patterns = list(itertools.product([1, -1], repeat=len(beyond)))
    sums = [sum(s * e for s, e in zip(signs, beyond, strict=True)) for signs in patterns]
    return sum(value >= sums[0] - 1e-12 for value in sums) / len(patterns)


@pytest.mark.parametrize("n", [1, 5, 9, 12])
@pytest.mark.parametrize("allowed", [0.0, 0.3])
def test_small_samples_equal_enumeration(n: int, allowed: float) -> None:
    values = np.random.default_rng(n).normal(0.4, 1, n)
    assert p_value(values, allowed) == enumerated(values - allowed)


def test_groups_flip_together() -> None:
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 5, 9).astype(float)
    sums = rng.normal(0.2 * sizes)
    grouped = ArmContrast((Arm.of_ratio(sums, sizes),))
    assert p_value(grouped, 0.1) == enumerated(sums - 0.1 * sizes)


def test_a_drop_of_ratios_flips_what_each_unit_adds_to_it() -> None:
    rng = np.random.default_rng(4)
    u, v, w, z = rng.uniform(0.5, 2, (4, 9))
    contrast = ArmContrast.between(Arm.of_ratio(u, v), Arm.of_ratio(w, z))
    r, t = u.sum() / v.sum(), w.sum() / z.sum()
    influence = (u - r * v) / v.mean() - (w - t * z) / z.mean()
    assert p_value(contrast, 0.05) == enumerated(influence + r - t - 0.05)


def test_it_equals_scipy_on_paired_means() -> None:
    a, b = np.random.default_rng(0).normal(0.3, 1, (2, 10))
    a += 0.5
    expected = stats.permutation_test(
        (a, b), lambda x, y: np.mean(x - y), permutation_type="samples", alternative="greater"
    )
    assert p_value(a - b) == pytest.approx(expected.pvalue, abs=1e-12)


@pytest.mark.parametrize(("lost", "won"), [(6, 2), (5, 0), (3, 3)])
def test_hits_and_misses_give_the_exact_test_of_mcnemar(lost: int, won: int) -> None:
    differences = [1.0] * lost + [-1.0] * won + [0.0] * 3
    baseline = np.array([True] * lost + [False] * won + [True] * 3)
    candidate = np.array([False] * lost + [True] * won + [True] * 3)
    assert p_value(differences) == pytest.approx(mcnemar_p_value(candidate, baseline), abs=1e-12)


def test_thirteen_units_are_sampled_with_the_plus_one_rule() -> None:
    p = p_value(np.ones(13))
    # One pattern in 8,192 is as extreme: 1.2 of 9,999 are expected.
    assert p * 10_000 == pytest.approx(round(p * 10_000), abs=1e-9)
    assert 1e-4 <= p <= 8e-4
    assert p_value(np.ones(60)) == 1e-4


def test_sampled_p_values_approach_the_exact_one() -> None:
    values = np.random.default_rng(1).normal(0.3, 1, 14)
    # Standard error over 9,999 patterns: at most 0.005.
    assert p_value(values) == pytest.approx(enumerated(values), abs=0.02)


@pytest.mark.parametrize("n", [9, 30])
def test_a_drop_of_exactly_what_is_allowed_gives_one(n: int) -> None:
    assert p_value(np.zeros(n)) == 1.0
    assert p_value(np.full(n, 0.25), 0.25) == 1.0


def test_ties_by_rounding_count_against_the_claim() -> None:
    # 0.3 - 0.2 is not 0.1 in floating point; four differences of about 0.1 are up and four down.
    differences = np.array([0.3, 0.1, 0.7, 0.1, 0.3, 0.9, 0.2, 0.6]) - np.array(
        [0.2, 0.2, 0.6, 0.2, 0.2, 1.0, 0.1, 0.7]
    )
    expected = float(stats.binom.sf(3, 8, 0.5))
    for scale in (1.0, 1e-9, 1e9):
        assert p_value(scale * differences) == expected


@pytest.mark.parametrize("n", [10, 40])
def test_units_that_are_not_scored_and_other_tests_change_little(n: int) -> None:
    values = np.random.default_rng(3).normal(0.3, 1, n)
    holed = np.append(values, [np.nan] * 5)
    together = sign_flip_p_values([drop(values), drop(-values)], [0.0, 0.0], seed=2)
    assert together[0] == p_value(values, seed=2)
    # Other units draw other signs: the resampling error is at most 0.007.
    assert p_value(holed) == pytest.approx(together[0], abs=0 if n == 10 else 0.02)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=10), st.floats(0, 1), st.floats(0, 0.5))
def test_allowing_more_never_makes_a_drop_more_significant(
    values: list[float], allowed: float, more: float
) -> None:
    assert p_value(values, allowed + more) >= p_value(values, allowed)


@pytest.mark.parametrize("allowed", [0.0, 0.5])
def test_it_keeps_its_level_at_the_allowed_drop(allowed: float) -> None:
    rng = np.random.default_rng(7)
    samples = rng.normal(allowed, 1, size=(600, 10))
    rejected = np.mean([p_value(values, allowed) <= 0.05 for values in samples])
    # Exact for symmetric drops: binomial standard error 0.009 at 0.05.
    assert 0.02 <= rejected <= 0.08


def test_the_smallest_p_value_is_that_of_one_pattern() -> None:
    assert smallest_p_value(8) == 1 / 256 == p_value(np.ones(8))
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


def two_sided(one: Any, tolerance: float = 0.0, seed: int = 0, tests: int = 1) -> float:
    contrast = one if isinstance(one, ArmContrast) else drop(one)
    return two_sided_p_values([contrast], tolerance=tolerance, tests=tests, seed=seed)[0]


@pytest.mark.parametrize("n", [1, 5, 9, 12])
def test_a_two_sided_p_value_is_twice_the_smaller_one_sided_one(n: int) -> None:
    values = np.random.default_rng(n).normal(0.2, 1, n)
    assert two_sided(values) == min(1.0, 2 * min(enumerated(values), enumerated(-values)))


def test_a_two_sided_p_value_of_many_units_counts_both_tails_of_the_same_signs() -> None:
    values = np.random.default_rng(2).normal(0.3, 1, 40)
    assert two_sided(values) == two_sided(-values)
    assert two_sided(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.02)
    # The two tails of one set of signs differ by chance alone.
    smaller = min(p_value(values), p_value(-values))
    assert two_sided(values) == pytest.approx(2 * smaller, abs=0.01)


def test_units_within_the_tolerance_say_nothing() -> None:
    values = np.array([0.5, -0.2, 1e-4, 1e-4, 1e-4, 1e-4, 1e-4, 1e-4, 1e-4])
    kept = np.where(np.abs(values) > 2e-4, values, 0.0)
    assert two_sided(values, tolerance=2e-4) == two_sided(kept)
    assert two_sided(np.full(9, 1e-4), tolerance=1e-4) == 1.0
    assert two_sided(np.full(9, 1e-4)) == 2 / 2**9


def test_the_tolerance_of_a_group_grows_with_its_images() -> None:
    sizes = np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 9])
    grouped = ArmContrast((Arm.of_ratio(1e-4 * sizes, sizes),))
    assert two_sided(grouped, tolerance=1.01e-4) == 1.0
    assert two_sided(grouped, tolerance=0.99e-4) == 2 / 2**9


def test_two_sided_false_alarms_are_as_often_as_they_say() -> None:
    draws = np.random.default_rng(0).normal(0, 1, (2_000, 10))
    found = two_sided_p_values([drop(row) for row in draws], tolerance=0.0, tests=1, seed=0)
    # Binomial standard error 0.5 %.
    assert np.mean(np.array(found) <= 0.05) == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize(
    ("tests", "patterns"), [(1, 9_999), (50, 9_999), (51, 10_199), (900, 99_999)]
)
def test_many_tests_have_finer_p_values(tests: int, patterns: int) -> None:
    assert permutations_for(tests) == patterns
    certain = np.full(20, 1.0)
    assert two_sided(certain, tests=tests) == smallest_two_sided_p_value(20, tests)
    assert smallest_two_sided_p_value(20, tests) == pytest.approx(1 / (patterns + 1))
    assert holm([two_sided(certain, tests=tests)] * tests)[0] <= 0.01


@pytest.mark.parametrize("units", [1, 8, 12])
def test_the_smallest_two_sided_p_value_of_few_units_is_reached(units: int) -> None:
    assert two_sided(np.full(units, 1.0)) == smallest_two_sided_p_value(units, 1)
