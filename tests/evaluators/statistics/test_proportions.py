"""Wilson and McNemar against closed forms."""

from math import comb, sqrt
from typing import Any

import numpy as np
import pytest

from heatproof.evaluators.statistics.proportions import (
    mcnemar_p_value,
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
