"""Betting intervals: valid at every n for every distribution in the declared range.

Waudby-Smith and Ramdas 2024, arXiv 2010.09686. For scores X in [0, 1] and a supposed mean m, two
players start with 1 and stake a share of their money on X being above m and below m. If the mean is
m, neither can expect to gain, so the chance that one ever holds more than 1 / tail is at most
`tail` (Ville's inequality); a supposed mean at which one does is ruled out, for good. The stakes
depend on earlier scores alone:

    mu_t = (1/2 + sum_{i<=t} X_i) / (t + 1),  var_t = (1/4 + sum_{i<=t} (X_i - mu_i)^2) / (t + 1)
    l_t = sqrt(2 ln(1 / tail) / (T_t var_{t-1}))
    K+ = prod (1 + min(l_i, 1 / (2 m)) (X_i - m))
    K- = prod (1 - min(l_i, 1 / (2 (1 - m))) (X_i - m))

Where n units are taken whatever they say T_t is n. Where somebody looks in between and stops when
he has seen enough it is t ln(1 + t), and the limits are a confidence sequence: all of them, over
all t, hold together with the same chance, so they hold whenever one stops.
"""

from enum import StrEnum
from typing import Final

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from heatproof.evaluators.registry.parameters import Range
from heatproof.evaluators.statistics.arms import Arm

GRID_STEPS: Final = 1000
"""Steps of the grid of supposed means; limits are rounded outwards to it."""
_CHUNK_CELLS: Final = 4_000_000
"""Largest block of bets in memory, in cells."""

Scores = Float64[np.ndarray, "*samples units"]
Levels = Float64[np.ndarray, "*samples"]


class Horizon(StrEnum):
    """For how many units the stakes are made."""

    FIXED = "fixed"
    """As many as there are, whatever they say."""

    OPEN = "open"
    """Somebody may stop after any of them."""


def fortunes(scores: Scores, mean: Levels, tail: float, horizon: Horizon) -> Scores:
    """Log of the most that the player against `mean or less` has held up to each unit.

    Args:
        scores: in [0, 1].
        mean: supposed mean of each sample, in [0, 1].
        tail: chance of error that the stakes are made for.
        horizon: for how many units they are made.

    Returns:
        At least 0, the log of what he starts with; never falls along the units.
    """
    with np.errstate(divide="ignore", over="ignore"):
        most = 0.5 / np.abs(mean)  # not of -0.0, which is less than nothing
    stakes = np.minimum(_stakes(scores, tail, horizon), most[..., None])
    held = np.log1p(stakes * (scores - mean[..., None])).cumsum(axis=-1)
    return np.asarray(np.maximum(np.maximum.accumulate(held, axis=-1), 0.0))


def above(scores: Scores, mean: Levels, tail: float, horizon: Horizon = Horizon.FIXED) -> Levels:
    """Log of the most that the player against `mean or less` ever holds; 0 at the start.

    Args:
        scores: in [0, 1]; at least one a sample.
        mean: supposed mean of each sample, in [0, 1].
        tail: chance of error that the stakes are made for.
        horizon: for how many units they are made.
    """
    return np.asarray(fortunes(scores, mean, tail, horizon)[..., -1])


def below(scores: Scores, mean: Levels, tail: float, horizon: Horizon = Horizon.FIXED) -> Levels:
    """Log of the most that the player against `mean or more` ever holds."""
    return above(1 - scores, np.asarray(1 - mean), tail, horizon)


def p_values(scores: Scores, mean: Levels, tail: float) -> Levels:
    """One-sided p-values of `the mean is at most mean`, valid whenever one stops.

    `1 / max K+` is the least level at which the player against it has won; it only falls.

    Args:
        scores: in [0, 1]; at least one a sample.
        mean: supposed mean of each sample, in [0, 1].
        tail: chance of error that the stakes are made for; the p-values hold at every level.
    """
    return np.asarray(np.exp(-above(scores, mean, tail, Horizon.OPEN)))


def mean_limits(
    scores: Scores, tail: float, horizon: Horizon = Horizon.FIXED
) -> tuple[Levels, Levels]:
    """Lower and upper limit of the mean of scores in [0, 1]; each errs with chance `tail`.

    What a player holds only falls or only rises with the supposed mean, so bisection of the grid
    finds where it crosses 1 / tail. NaN where no mean is left.
    """
    lower, upper = _lower(scores, tail, horizon), upper_limit(scores, tail, horizon)
    left = lower <= upper
    return np.where(left, lower, np.nan), np.where(left, upper, np.nan)


def upper_limit(scores: Scores, tail: float, horizon: Horizon = Horizon.FIXED) -> Levels:
    """Upper limit alone of the mean of scores in [0, 1], which errs with chance `tail`."""
    return np.asarray(1 - _lower(1 - scores, tail, horizon))


def ratio_limits(
    arm: Arm, estimates: Range, numerators: Range, denominators: Range, tail: float
) -> tuple[float, float] | None:
    """Limits of a ratio of means a / b: all r in its range for which `mean(a - r b) = 0` stands.

    Args:
        arm: numerators a and denominators b of the units.
        estimates: where the ratio lies; finite.
        numerators: where a lies; finite.
        denominators: where b lies; finite.
        tail: chance of error of each limit.
    """
    grid = np.linspace(estimates.lower, estimates.upper, GRID_STEPS + 1)
    ends = np.multiply.outer(grid, [denominators.lower, denominators.upper])
    low, high = numerators.lower - ends.max(axis=1), numerators.upper - ends.min(axis=1)
    return _hull(_stand(arm, grid, low, high, tail), grid)


def grouped_limits(
    arm: Arm, scores: Range, largest: int, tail: float
) -> tuple[float, float] | None:
    """Limits of a mean over images of which whole groups are the units.

    A ratio of means: sums of the groups' scores over their sizes. With r in the range of the
    scores, `sum - r size` lies in the range of `largest` images less r.

    Args:
        arm: sums and sizes of the groups.
        scores: where the score of an image lies; finite.
        largest: images of the largest group.
        tail: chance of error of each limit.
    """
    grid = np.linspace(scores.lower, scores.upper, GRID_STEPS + 1)
    low, high = largest * (scores.lower - grid), largest * (scores.upper - grid)
    return _hull(_stand(arm, grid, low, high, tail), grid)


def _stakes(scores: Scores, tail: float, horizon: Horizon) -> Scores:
    """`l_i`, from the scores before each."""
    units = scores.shape[-1]
    seen = np.arange(2, units + 2)
    spread_over = units if horizon is Horizon.FIXED else (seen - 1) * np.log(seen)
    means = (0.5 + scores.cumsum(axis=-1)) / seen
    variances = (0.25 + ((scores - means) ** 2).cumsum(axis=-1)) / seen
    first = np.full((*scores.shape[:-1], 1), 0.25)
    before = np.concatenate([first, variances[..., :-1]], axis=-1)
    stakes: Scores = np.sqrt(2 * np.log(1 / tail) / (spread_over * before))
    return stakes


def _lower(scores: Scores, tail: float, horizon: Horizon) -> Levels:
    """The largest mean of the grid that the player against `mean or less` rules out; 0 if none."""
    ruled_out: NDArray[np.int64] = np.zeros(scores.shape[:-1], dtype=np.int64)
    step = 1 << GRID_STEPS.bit_length() - 1
    while step:
        tried = ruled_out + step
        mean = np.asarray(np.minimum(tried, GRID_STEPS) / GRID_STEPS)
        is_out = (tried <= GRID_STEPS) & (above(scores, mean, tail, horizon) >= -np.log(tail))
        ruled_out = np.where(is_out, tried, ruled_out)
        step >>= 1
    return np.asarray(ruled_out / GRID_STEPS)


def _stand(arm: Arm, grid: Levels, low: Levels, high: Levels, tail: float) -> list[bool]:
    """For each r of the grid, whether the mean of `a - r b`, in [low, high], may be 0."""
    u, v = arm.numerators[arm.scored], arm.denominators[arm.scored]
    rows = max(1, _CHUNK_CELLS // len(u))
    stand: list[bool] = []
    for start in range(0, len(grid), rows):
        r, least, most = (column[start : start + rows] for column in (grid, low, high))
        width = most - least
        scores = (u - np.multiply.outer(r, v) - least[:, None]) / width[:, None]
        held = np.clip(scores, 0.0, 1.0), -least / width, tail
        stand += (np.maximum(above(*held), below(*held)) < -np.log(tail)).tolist()
    return stand


def _hull(stand: list[bool], grid: Levels) -> tuple[float, float] | None:
    """The ends of what stands, rounded outwards; None if nothing does."""
    places = np.flatnonzero(stand)
    if not places.size:
        return None
    return float(grid[max(places[0] - 1, 0)]), float(grid[min(places[-1] + 1, GRID_STEPS)])
