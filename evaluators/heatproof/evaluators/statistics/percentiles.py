"""Percentile intervals of what is no ratio of means, such as a correlation.

A statistic of sums over the units is computed on units drawn with replacement (Efron and Tibshirani
1993, chapter 13).
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from heatproof.evaluators.registry.parameters import Range
from heatproof.evaluators.statistics.arms import Column
from heatproof.evaluators.statistics.bootstrap import (
    MAX_VANISHING,
    MIN_UNITS,
    UnitColumns,
    resampled_sums,
)
from heatproof.evaluators.statistics.intervals import Limits

PERCENTILE_RESAMPLES: Final = 2_000

SumStatistic = Callable[[Column], float | None]
"""A number of the sums of some columns; None where these do not define it."""


def percentile_limits(
    columns: UnitColumns, statistic: SumStatistic, ends: Range, *, seed: int, level: float
) -> Limits | None:
    """Makes the interval of a statistic.

    Args:
        columns: what is summed, one row a unit.
        statistic: of the sums.
        ends: where it lies.
        seed: of the resamples.
        level: confidence level.

    Returns:
        None below 8 units, or where more than 1 % of the resamples do not define the statistic.
    """
    if len(columns) < MIN_UNITS:
        return None
    sums = resampled_sums(columns, np.random.default_rng(seed), PERCENTILE_RESAMPLES)
    found = [value for value in map(statistic, sums) if value is not None]
    if len(found) < (1 - MAX_VANISHING) * PERCENTILE_RESAMPLES:
        return None
    tail = (1 - level) / 2
    lower, upper = np.quantile(found, [tail, 1 - tail], method="inverted_cdf")
    return Limits(float(lower), float(upper), "percentile").within(ends)
