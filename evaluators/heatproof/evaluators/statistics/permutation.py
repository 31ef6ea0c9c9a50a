"""Sign-flip tests of a drop and of a difference, and Holm's correction for several of them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

import numpy as np
from jaxtyping import Float64

from heatproof.evaluators.statistics.arms import ArmContrast, Column, Rows

SIGNIFICANCE: Final = 0.05
"""P-values up to this, once they are corrected, are told from chance."""
EXACT_UP_TO: Final = 12
"""Up to this many units, all sign patterns are tried."""
PERMUTATIONS: Final = 9_999
MOST_PERMUTATIONS: Final = 99_999
_PER_TEST: Final = 200
"""Patterns for each of many tests, so that one whose corrected p-value is 0.005 can be told."""
_CHUNK_CELLS: Final = 4_000_000
"""Largest block of signs in memory, in cells."""
_ROUNDING: Final = 1e-12
"""Sums of the same numbers in another order differ by this share of their size."""

Signs = Float64[np.ndarray, "patterns units"]
FlippedSums = Float64[np.ndarray, "*patterns tests"]
Size: TypeAlias = Callable[[FlippedSums], FlippedSums]
"""What of a sum is compared: itself, or its magnitude."""


def sign_flip_p_values(
    drops: Sequence[ArmContrast], allowed: Sequence[float], *, seed: int
) -> tuple[float, ...]:
    """One-sided p-values of `mean drop at most as allowed`, units being symmetric about it.

    The signs of what each unit's drop is beyond the allowed one are flipped: all patterns up to 12
    units, else 9,999 seeded ones, the same for all tests, with `p = (1 + b) / (1 + B)`.

    Args:
        drops: over the same units in the same order; positive is worse.
        allowed: the drop that each test allows.
        seed: of the signs.
    """
    beyond = [drop.deviations(limit) for drop, limit in zip(drops, allowed, strict=True)]
    scored = [drop.scored for drop in drops]
    return _p_values(beyond, scored, _as_it_is, PERMUTATIONS, seed=seed)


def two_sided_p_values(
    differences: Sequence[ArmContrast], *, tolerance: float, tests: int, seed: int
) -> tuple[float, ...]:
    """Two-sided p-values of `there is no difference`, units being symmetric about it.

    As `sign_flip_p_values`, with the magnitudes of the sums, and of `permutations_for(tests)`
    patterns where these are not all. Of a mean the units' own differences
    are flipped; of ratios of means and their sums what each unit adds to the difference to first
    order, so that the level holds for many units and nearly for few.

    Args:
        differences: over the same units in the same order.
        tolerance: a unit that differs by no more counts as equal, in the unit of the score.
        tests: over how many tests the p-values will be corrected.
        seed: of the signs.
    """
    beyond = [_noticeable(difference, tolerance) for difference in differences]
    scored = [difference.scored for difference in differences]
    return _p_values(beyond, scored, np.abs, permutations_for(tests), seed=seed)


def permutations_for(tests: int) -> int:
    """Sign patterns that are drawn where so many p-values are corrected together."""
    return min(MOST_PERMUTATIONS, max(PERMUTATIONS, _PER_TEST * tests - 1))


def smallest_two_sided_p_value(units: int, tests: int) -> float:
    """Smallest two-sided p-value, not yet corrected, that a test on this many units can give."""
    if units <= EXACT_UP_TO:
        return min(1.0, 2.0 ** (1 - units))
    return 1 / (1 + permutations_for(tests))


def _noticeable(difference: ArmContrast, tolerance: float) -> Column:
    """What each unit says against there being no difference, if it is more than rounding."""
    deviations = difference.deviations(0.0)
    of_one = len(difference.arms) == 1
    size = np.abs(difference.arms[0].denominators) if of_one else np.ones(len(deviations))
    return np.where(np.abs(deviations) <= tolerance * size, 0.0, deviations)


def smallest_p_value(units: int) -> float:
    """Smallest p-value that a test on this many units can give."""
    return 2.0**-units if units <= EXACT_UP_TO else 1 / (1 + PERMUTATIONS)


def _as_it_is(sums: FlippedSums) -> FlippedSums:
    return sums


def _p_values(
    beyond: Sequence[Column], scored: Sequence[Rows], size: Size, patterns: int, *, seed: int
) -> tuple[float, ...]:
    """How often the sum under flipped signs has at least the size of the one that was found."""
    counts = [int(rows.sum()) for rows in scored]
    large = [each for each, count in zip(beyond, counts, strict=True) if count > EXACT_UP_TO]
    sampled = iter(_sampled_p_values(large, size, patterns, seed=seed))
    return tuple(
        next(sampled) if count > EXACT_UP_TO else _exact_p_value(each[rows], size)
        for each, rows, count in zip(beyond, scored, counts, strict=True)
    )


def _exact_p_value(beyond: Column, size: Size) -> float:
    patterns = np.arange(2 ** len(beyond))[:, None]
    signs = 1.0 - 2.0 * ((patterns >> np.arange(len(beyond))) & 1)
    return float(_reached(signs, beyond[:, None], size)[0] / len(signs))


def _sampled_p_values(
    beyond: Sequence[Column], size: Size, patterns: int, *, seed: int
) -> list[float]:
    if not beyond:
        return []
    columns = np.stack(beyond, axis=1)
    reached = np.zeros(len(beyond))
    for signs in _random_signs(len(columns), patterns, np.random.default_rng(seed)):
        reached += _reached(signs, columns, size)
    return [float((1 + count) / (1 + patterns)) for count in reached]


def _random_signs(units: int, patterns: int, rng: np.random.Generator) -> Iterator[Signs]:
    chunk = max(1, _CHUNK_CELLS // units)
    for start in range(0, patterns, chunk):
        rows = min(chunk, patterns - start)
        yield 1.0 - 2.0 * rng.integers(0, 2, size=(rows, units), dtype=np.uint8)


def _reached(signs: Signs, beyond: Float64[np.ndarray, "units tests"], size: Size) -> Column:
    """Counts the patterns whose sum has at least the size of the one that was found; ties count."""
    slack = _ROUNDING * np.abs(beyond).sum(axis=0)
    reached = size(signs @ beyond) >= size(beyond.sum(axis=0)) - slack
    return np.asarray(reached.sum(axis=0), dtype=np.float64)


def holm(p_values: Sequence[float], *, tests: int | None = None) -> tuple[float, ...]:
    """Holm's step-down adjustment, in the order given (Holm 1979).

    Args:
        p_values: of the tests that were made.
        tests: how many there are in all; those that were not made count as p = 1.
    """
    total = len(p_values) if tests is None else tests
    order = np.argsort(np.asarray(p_values), kind="stable")
    adjusted = np.empty(len(p_values))
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (total - rank) * p_values[index]))
        adjusted[index] = running
    return tuple(float(value) for value in adjusted)
