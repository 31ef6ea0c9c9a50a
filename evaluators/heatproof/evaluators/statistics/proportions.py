"""Intervals and tests of proportions."""

import numpy as np
from jaxtyping import Bool
from scipy import stats


def wilson_interval(successes: int, trials: int, *, level: float) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927)."""
    interval = stats.binomtest(successes, trials).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)


def wilson_upper(successes: int, trials: int, *, tail: float) -> float:
    """The upper limit of Wilson's score interval that errs with chance `tail`."""
    return wilson_interval(successes, trials, level=1 - 2 * tail)[1]


def mcnemar_p_value(
    candidate: Bool[np.ndarray, "units"], baseline: Bool[np.ndarray, "units"]
) -> float:
    """One-sided exact McNemar test that the candidate succeeds less often (McNemar 1947).

    Only units on which the two differ count; 1.0 if there is none.
    """
    lost = int((baseline & ~candidate).sum())
    won = int((candidate & ~baseline).sum())
    if lost + won == 0:
        return 1.0
    return float(stats.binomtest(lost, lost + won, alternative="greater").pvalue)
