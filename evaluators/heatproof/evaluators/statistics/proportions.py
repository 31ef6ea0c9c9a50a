"""Intervals and tests of proportions."""

from typing import Literal

import numpy as np
import scipy
from jaxtyping import Bool

Hits = Bool[np.ndarray, "units"]


def wilson_interval(successes: int, trials: int, *, level: float) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927)."""
    interval = scipy.stats.binomtest(successes, trials).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)


def wilson_upper(successes: int, trials: int, *, tail: float) -> float:
    """The upper limit of Wilson's score interval that errs with chance `tail`."""
    return wilson_interval(successes, trials, level=1 - 2 * tail)[1]


def paired_difference_interval(first: Hits, second: Hits, *, level: float) -> tuple[float, float]:
    """Interval of the difference of two proportions of the same units.

    Wilson's intervals of both, put together by the correlation of the hits, which is corrected for
    continuity (Newcombe 1998, Statistics in Medicine 17, 2635 to 2650, method 10).
    """
    units = len(first)
    shares, below, above = [], [], []
    for hits in (first, second):
        lower, upper = wilson_interval(int(hits.sum()), units, level=level)
        shares.append(hits.mean())
        below.append(shares[-1] - lower)
        above.append(upper - shares[-1])
    alike = _correlation(first, second)
    difference = shares[0] - shares[1]
    down = below[0] ** 2 - 2 * alike * below[0] * above[1] + above[1] ** 2
    up = above[0] ** 2 - 2 * alike * above[0] * below[1] + below[1] ** 2
    return float(difference - np.sqrt(down)), float(difference + np.sqrt(up))


def _correlation(first: Hits, second: Hits) -> float:
    """Correlation of hits, corrected for continuity; 0 where one side is constant."""
    both, neither = int((first & second).sum()), int((~first & ~second).sum())
    won, lost = int((first & ~second).sum()), int((~first & second).sum())
    spread = (both + won) * (lost + neither) * (both + lost) * (won + neither)
    alike = float(both * neither - won * lost)
    if alike > 0:
        alike = max(0.0, alike - len(first) / 2)
    return alike / float(np.sqrt(spread)) if spread else 0.0


def mcnemar_p_value(
    candidate: Hits, baseline: Hits, *, alternative: Literal["greater", "two-sided"] = "greater"
) -> float:
    """Exact McNemar test (McNemar 1947).

    Only units on which the two differ count; 1.0 if there is none.

    Args:
        candidate: on which units the candidate succeeds.
        baseline: likewise the baseline.
        alternative: `greater`: the candidate succeeds less often; `two-sided`: it does so more or
            less often.
    """
    lost = int((baseline & ~candidate).sum())
    won = int((candidate & ~baseline).sum())
    if lost + won == 0:
        return 1.0
    return float(scipy.stats.binomtest(lost, lost + won, alternative=alternative).pvalue)
