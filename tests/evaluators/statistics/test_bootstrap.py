"""Bootstrap-t against an implementation resample by resample, laws, and simulated coverage."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from heatproof.evaluators.statistics import bootstrap
from heatproof.evaluators.statistics.arms import Arm, ArmContrast
from heatproof.evaluators.statistics.bootstrap import bootstrap_t


def mean(values: Any) -> Any:
    return ArmContrast((Arm.of_mean(np.asarray(values, dtype=np.float64)),))


def ratio(u: Any, v: Any) -> Any:
    return ArmContrast((Arm.of_ratio(u, v),))


def interval(contrast: Any, seed: Any = 0) -> Any:
    found = bootstrap_t([contrast], seed=seed)[0]
    return found.limit(0.025), found.limit(0.975)


def drawn(images: Any, seed: Any) -> Any:
    """The images of every resample, from the weights that the module draws."""
    weights = np.concatenate(list(bootstrap._weights(images, np.random.default_rng(seed))))
    assert weights.shape == (10_000, images)
    assert (weights.sum(axis=1) == images).all()
    return [np.repeat(np.arange(images), row.astype(int)) for row in weights]


def test_weights_are_multinomial() -> None:
    weights = np.concatenate(list(bootstrap._weights(12, np.random.default_rng(3))))
    # Standard errors over 10,000 resamples: 0.0096 for a mean, about 0.015 for a variance.
    np.testing.assert_allclose(weights.mean(axis=0), 1.0, atol=0.04)
    np.testing.assert_allclose(weights.var(axis=0), 11 / 12, atol=0.08)


def test_the_pivots_of_a_ratio_are_those_of_every_resample_computed_alone() -> None:
    rng = np.random.default_rng(5)
    v = rng.uniform(0.5, 1.5, 11)
    u = 0.3 * v + rng.normal(size=11) / 10
    estimate = u.sum() / v.sum()
    expected = []
    for chosen in drawn(11, seed=8):
        resampled = ratio(u[chosen], v[chosen])
        expected.append((resampled.estimate() - estimate) / resampled.standard_error())
    pivots = bootstrap_t([ratio(u, v)], seed=8)[0].pivots
    # The grid keeps 48 bits of every second moment.
    np.testing.assert_allclose(pivots, expected, rtol=1e-8, atol=1e-10)


def test_the_pivots_of_a_difference_of_ratios_are_those_of_every_resample_computed_alone() -> None:
    rng = np.random.default_rng(6)
    v, z = rng.uniform(0.5, 1.5, (2, 10))
    u, w = rng.normal(size=(2, 10))
    whole = ArmContrast.between(Arm.of_ratio(u, v), Arm.of_ratio(w, z))
    expected = []
    for i in drawn(10, seed=1):
        one = ArmContrast.between(Arm.of_ratio(u[i], v[i]), Arm.of_ratio(w[i], z[i]))
        expected.append((one.estimate() - whole.estimate()) / one.standard_error())
    pivots = bootstrap_t([whole], seed=1)[0].pivots
    np.testing.assert_allclose(pivots, expected, rtol=1e-8, atol=1e-10)


def test_normal_scores_give_the_interval_of_student() -> None:
    values = np.random.default_rng(2).normal(size=400)
    low, high = stats.t.interval(0.95, 399, values.mean(), stats.sem(values))
    # Resampling error of a 2.5 % quantile of 10,000 pivots: about 0.03 standard errors.
    tolerance = 0.12 * stats.sem(values)
    assert interval(mean(values)) == pytest.approx((low, high), abs=tolerance)


def test_fewer_than_eight_scores_give_no_interval() -> None:
    assert bootstrap_t([mean(np.arange(7.0))], seed=0) == (None,)
    assert bootstrap_t([mean(np.arange(8.0))], seed=0)[0] is not None
    seven = np.append(np.arange(7.0), [np.nan] * 30)
    assert bootstrap_t([mean(seven)], seed=0) == (None,)


def test_equal_scores_are_refused() -> None:
    assert interval(mean(np.full(30, 0.1))) == (None, None)
    assert bootstrap_t([mean(np.full(30, 1 / 3))], seed=0)[0].vanishing == 1.0


@pytest.mark.parametrize(("others", "is_refused"), [(1, True), (3, True), (5, False), (9, False)])
def test_resamples_without_spread_refuse_the_interval_from_one_percent_on(
    others: int, is_refused: bool
) -> None:
    values = np.concatenate([np.zeros(30 - others), 0.5 + np.arange(others) / 10])
    found = bootstrap_t([mean(values)], seed=0)[0]
    # All of a resample are 0 with chance (1 - others / 30)^30: 0.36, 0.042, 0.0042, 0.
    expected = (1 - others / 30) ** 30
    assert found.vanishing == pytest.approx(expected, abs=4 * np.sqrt(expected / 10_000) + 1e-9)
    assert (found.limit(0.05) is None, found.limit(0.975) is None) == (is_refused, is_refused)


@pytest.mark.parametrize("n", [8, 30])
def test_an_affine_change_moves_the_interval_alike(n: Any) -> None:
    values = np.random.default_rng(4).gamma(1.0, size=n)
    low, high = interval(mean(values))
    moved = interval(mean(7.3 * values - 2.9))
    assert moved == pytest.approx((7.3 * low - 2.9, 7.3 * high - 2.9), rel=1e-9)
    flipped = interval(mean(-values))
    # The inverted step function is not symmetric: one pivot of 10,000 apart.
    assert flipped == pytest.approx((-high, -low), rel=5e-2)


def columns(k: Any, n: Any = 37, seed: Any = 9) -> Any:
    return np.random.default_rng(seed).gamma(1.5, size=(k, n))


def test_other_contrasts_change_no_bit_and_their_order_does_not_matter() -> None:
    u = columns(6)
    contrasts = [mean(row) for row in u[:3]] + [ratio(u[3], u[4]), mean(u[5])]
    together = bootstrap_t(contrasts, seed=4)
    reverse = bootstrap_t(contrasts[::-1], seed=4)[::-1]
    for place, contrast in enumerate(contrasts):
        alone = bootstrap_t([contrast], seed=4)[0].pivots.tobytes()
        assert together[place].pivots.tobytes() == alone
        assert reverse[place].pivots.tobytes() == alone


def test_groups_change_no_bit(monkeypatch: Any) -> None:
    contrasts = [mean(row) for row in columns(5)]
    whole = bootstrap_t(contrasts, seed=4)
    monkeypatch.setattr(bootstrap, "GROUP_CELLS", 1)
    parts = bootstrap_t(contrasts, seed=4)
    assert [d.pivots.tobytes() for d in whole] == [d.pivots.tobytes() for d in parts]


def test_contrasts_share_their_resamples() -> None:
    x = columns(1)[0]
    first, second = bootstrap_t([mean(x), mean(3 * x + 1)], seed=0)
    np.testing.assert_allclose(first.pivots, second.pivots, rtol=1e-6, atol=1e-8)


def test_the_seed_decides() -> None:
    contrast = mean(columns(1)[0])
    assert interval(contrast, seed=1) == interval(contrast, seed=1)
    assert interval(contrast, seed=1) != interval(contrast, seed=2)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 2**31))
def test_sums_on_the_grid_are_exact_in_any_order(n: Any, seed: Any) -> None:
    rng = np.random.default_rng(seed)
    column = bootstrap._on_grid(rng.standard_cauchy((n, 1)))[:, 0]
    shuffled = rng.permutation(n)
    assert column.sum() == column[shuffled].sum() == np.add.accumulate(column)[-1]


def test_the_grid_is_fine() -> None:
    values = np.random.default_rng(0).normal(size=(1000, 3)) * [1e-8, 1.0, 1e8]
    error = np.abs(bootstrap._on_grid(values) - values).max(axis=0)
    assert (error <= 2.0**-42 * np.abs(values).max(axis=0)).all()


def coverage(draw: Any, truth: Any, trials: Any) -> Any:
    """Shares of samples whose bootstrap-t and percentile intervals hold the truth."""
    held = np.zeros(2)
    for trial in range(trials):
        values = draw(np.random.default_rng(trial))
        low, high = interval(mean(values), seed=trial)
        resamples = np.random.default_rng(trial).choice(values, (2000, len(values))).mean(axis=1)
        below, above = np.quantile(resamples, [0.025, 0.975])
        held += [low <= truth <= high, below <= truth <= above]
    return held / trials


def test_at_eight_skewed_scores_bootstrap_t_covers_and_percentile_does_not() -> None:
    ours, percentile = coverage(lambda rng: rng.exponential(size=8), 1.0, trials=500)
    # Binomial standard error at 500 trials: 0.011 at 0.93, 0.018 at 0.8.
    assert 0.915 <= ours <= 0.985
    assert percentile <= 0.87
    assert ours >= percentile + 0.08
