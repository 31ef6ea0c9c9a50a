"""Wilson and McNemar against closed forms."""

from math import comb, sqrt
from typing import Any

import numpy as np
import pytest

from heatproof.evaluators.statistics.proportions import (
    mcnemar_p_value,
    paired_difference_interval,
    wilson_interval,
    wilson_upper,
)


@pytest.mark.parametrize(("successes", "trials"), [(0, 8), (3, 9), (50, 100), (10, 10)])
def test_wilson_equals_its_formula(successes: Any, trials: Any) -> None:
    z, p = 1.959963984540054, successes / trials
    centre = (p + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * sqrt(p * (1 - p) / trials + z**2 / (4 * trials**2))
    expected = (max(0.0, centre - half), min(1.0, centre + half))
    assert wilson_interval(successes, trials, level=0.95) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("tail", "z"), [(0.05, 1.6448536269514722), (0.025, 1.959963984540054)])
@pytest.mark.parametrize(("successes", "trials"), [(0, 30), (3, 30), (12, 100)])
def test_the_upper_limit_errs_on_one_side_only(
    successes: int, trials: int, tail: float, z: float
) -> None:
    p, n = successes / trials, trials
    half = z * sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    expected = (p + z**2 / (2 * n) + half) / (1 + z**2 / n)
    assert wilson_upper(successes, trials, tail=tail) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("lost", "won"), [(5, 0), (6, 2), (1, 4), (10, 3)])
def test_mcnemar_is_the_binomial_tail_of_the_discordant_pairs(lost: Any, won: Any) -> None:
    candidate = np.array([False] * lost + [True] * won + [True, False] * 4)
    baseline = np.array([True] * lost + [False] * won + [True, False] * 4)
    n = lost + won
    expected = sum(comb(n, k) for k in range(lost, n + 1)) / 2**n
    assert mcnemar_p_value(candidate, baseline) == pytest.approx(expected, rel=1e-12)


def test_mcnemar_without_discordant_pairs_is_one() -> None:
    same = np.array([True, False, True])
    assert mcnemar_p_value(same, same) == 1.0


def table(both: int, first: int, second: int, neither: int) -> tuple[Any, Any]:
    """Hits of two models, of so many units that both, one or none of them hits."""
    counts = (both, first, second, neither)
    return np.repeat([True, True, False, False], counts), np.repeat([True, False] * 2, counts)


def test_the_two_sided_mcnemar_doubles_the_smaller_tail() -> None:
    candidate, baseline = table(4, 2, 7, 3)
    expected = 2 * sum(comb(9, k) for k in range(7, 10)) / 2**9
    assert mcnemar_p_value(candidate, baseline, alternative="two-sided") == pytest.approx(expected)
    assert mcnemar_p_value(baseline, candidate, alternative="two-sided") == pytest.approx(expected)
    assert mcnemar_p_value(candidate, candidate, alternative="two-sided") == 1.0


def test_the_paired_interval_is_the_textbooks() -> None:
    # Fagerland, Lydersen and Laake 2017, chapter 8: airway hyper-responsiveness (Bentur 2009).
    found = paired_difference_interval(*table(1, 1, 7, 12), level=0.95)
    assert found == pytest.approx((-0.507, -0.026), abs=5e-4)


def test_independent_hits_have_the_unpaired_interval() -> None:
    # 8 both, 8 first, 4 second, 4 neither: no correlation.
    first, second = table(8, 8, 4, 4)
    (l1, u1), (l2, u2) = (wilson_interval(k, 24, level=0.95) for k in (16, 12))
    p1, p2 = 16 / 24, 12 / 24
    down, up = np.hypot(p1 - l1, u2 - p2), np.hypot(u1 - p1, p2 - l2)
    expected = (p1 - p2 - down, p1 - p2 + up)
    assert paired_difference_interval(first, second, level=0.95) == pytest.approx(expected)


@pytest.mark.parametrize("counts", [(20, 0, 0, 5), (25, 0, 0, 0), (10, 6, 2, 7), (0, 5, 9, 0)])
def test_the_paired_interval_turns_with_the_models(counts: Any) -> None:
    first, second = table(*counts)
    lower, upper = paired_difference_interval(first, second, level=0.95)
    assert -1 <= lower <= first.mean() - second.mean() <= upper <= 1
    assert paired_difference_interval(second, first, level=0.95) == pytest.approx((-upper, -lower))


def test_hits_that_go_together_tell_more_of_their_difference() -> None:
    together, against = table(40, 8, 2, 50), table(10, 38, 32, 20)
    widths = []
    for hits in (together, against):
        lower, upper = paired_difference_interval(*hits, level=0.95)
        assert hits[0].mean() - hits[1].mean() == pytest.approx(0.06)
        widths.append(upper - lower)
    assert widths[0] < 0.7 * widths[1]
