"""Estimates and standard errors against the jackknife, closed forms and each other."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heatproof.evaluators.statistics.arms import Arm, ArmContrast

RNG = np.random.default_rng(11)


def arm(numerators: Any, denominators: Any = None) -> Any:
    u = np.asarray(numerators, dtype=np.float64)
    v = np.ones_like(u) if denominators is None else np.asarray(denominators, dtype=np.float64)
    return Arm.of_ratio(u, v)


def jackknife_error(reduction: Any, *columns: Any) -> Any:
    n = len(columns[0])
    left_out = [reduction(*(np.delete(c, i) for c in columns)) for i in range(n)]
    return float(np.sqrt((n - 1) / n * ((left_out - np.mean(left_out)) ** 2).sum()))


def test_a_mean_has_the_textbook_standard_error() -> None:
    values = RNG.gamma(2.0, size=23)
    contrast = ArmContrast((arm(values),))
    assert contrast.estimate() == pytest.approx(values.mean(), rel=1e-14)
    assert contrast.standard_error() == pytest.approx(values.std(ddof=1) / np.sqrt(23), rel=1e-12)


def test_a_ratio_is_one_of_means_and_not_a_mean_of_ratios() -> None:
    u, v = np.array([1.0, 3.0]), np.array([1.0, 10.0])
    assert arm(u, v).estimate() == pytest.approx(4 / 11, rel=1e-15)


def test_a_ratio_has_the_standard_error_of_the_delta_method() -> None:
    v = RNG.gamma(4.0, size=50)
    u = 0.4 * v + RNG.normal(size=50)
    cov, mean_u, mean_v = np.cov(u, v), u.mean(), v.mean()
    gradient = np.array([1 / mean_v, -mean_u / mean_v**2])
    expected = np.sqrt(gradient @ cov @ gradient / 50)
    assert ArmContrast((arm(u, v),)).standard_error() == pytest.approx(expected, rel=1e-12)


def test_a_difference_of_ratios_has_the_standard_error_of_the_jackknife() -> None:
    n = 2000
    v, z = RNG.uniform(1, 2, n), RNG.uniform(1, 2, n)
    u, w = 0.4 * v + RNG.normal(size=n) / 9, 0.2 * z + RNG.normal(size=n) / 9
    expected = jackknife_error(lambda a, b, c, d: a.sum() / b.sum() - c.sum() / d.sum(), u, v, w, z)
    found = ArmContrast.between(arm(u, v), arm(w, z)).standard_error()
    # The two agree to O(1/n).
    assert found == pytest.approx(expected, rel=2e-3)


@given(st.integers(2, 9), st.randoms(use_true_random=False))
def test_sums_of_the_same_arms_in_another_order_differ_by_exactly_0(
    count: int, shuffled: Any
) -> None:
    ones = RNG.uniform(1, 2, 12)
    arms = [arm(RNG.normal(size=12), ones) for _ in range(count)]
    others = shuffled.sample(arms, count)
    weights = (1 / count,) * count
    found = ArmContrast(tuple(arms), weights).minus(ArmContrast(tuple(others), weights))
    assert found.estimate() == 0
    assert not found.influence().any()
    assert found.count == 12


def test_a_difference_of_means_is_the_mean_of_the_differences() -> None:
    a, b = RNG.normal(size=20), RNG.normal(size=20)
    contrast = ArmContrast.between(arm(a), arm(b))
    assert contrast.estimate() == pytest.approx((a - b).mean(), rel=1e-12)
    expected = (a - b).std(ddof=1) / np.sqrt(20)
    assert contrast.standard_error() == pytest.approx(expected, rel=1e-12)


def test_images_without_a_score_change_nothing() -> None:
    values = RNG.normal(size=9)
    holes = np.insert(values, [2, 5], np.nan)
    full, holed = ArmContrast((arm(values),)), ArmContrast((Arm.of_mean(holes),))
    assert holed.count == 9
    assert holed.estimate() == pytest.approx(full.estimate(), rel=1e-14)
    assert holed.standard_error() == pytest.approx(full.standard_error(), rel=1e-12)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-9, 12345.678])
def test_equal_scores_have_no_spread_in_spite_of_rounding(value: Any) -> None:
    assert ArmContrast((arm(np.full(29, value)),)).standard_error() == 0.0


def test_nothing_scored_has_no_estimate() -> None:
    empty = ArmContrast((Arm.of_mean(np.full(5, np.nan)),))
    assert empty.count == 0
    assert np.isnan(empty.estimate())
    assert np.isnan(empty.standard_error())


@given(
    st.lists(st.floats(0.01, 1), min_size=3, max_size=20),
    st.floats(0.1, 10),
    st.floats(-5, 5),
)
def test_an_affine_change_moves_the_estimate_and_scales_the_error(
    values: Any, scale: Any, offset: Any
) -> None:
    x = np.array(values)
    before, after = ArmContrast((arm(x),)), ArmContrast((arm(scale * x + offset),))
    assert after.estimate() == pytest.approx(scale * before.estimate() + offset, abs=1e-12)
    assert after.standard_error() == pytest.approx(scale * before.standard_error(), abs=1e-11)


def ratios(*counts: int) -> tuple[Any, ...]:
    """Sums of ratios: each number is the seed of an arm's denominators."""
    return tuple(
        arm(RNG.normal(size=12), np.random.default_rng(c).uniform(1, 2, 12)) for c in counts
    )


def test_a_difference_of_sums_of_ratios_merges_arms_of_equal_denominators() -> None:
    first, second = ArmContrast(ratios(1, 2), (0.5, 0.5)), ArmContrast(ratios(2, 3), (2.0, -1.0))
    difference = first.minus(second)
    assert len(difference.arms) == 3
    assert difference.estimate() == pytest.approx(first.estimate() - second.estimate(), abs=1e-14)
    apart = ArmContrast((*first.arms, *second.arms), (0.5, 0.5, -2.0, 1.0))
    np.testing.assert_allclose(difference.influence(), apart.influence(), atol=1e-13)
    assert second.minus(first).estimate() == pytest.approx(-difference.estimate(), abs=1e-14)


def test_a_sum_less_itself_is_nothing_to_the_last_bit() -> None:
    whole = ArmContrast(ratios(1, 2, 3), (0.3, -0.7, 1.1))
    nothing = whole.minus(whole)
    assert nothing.estimate() == 0.0
    assert not nothing.influence().any()


def test_a_sum_within_some_rows_is_that_of_its_arms() -> None:
    rows = np.arange(12) % 3 > 0
    whole = ArmContrast(ratios(1, 2), (0.3, -0.7))
    assert whole.within(rows).count == 8
    u, v = whole.arms[1].numerators[rows], whole.arms[1].denominators[rows]
    assert whole.within(rows).arms[1].estimate() == pytest.approx(u.sum() / v.sum())
