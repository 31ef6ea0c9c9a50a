"""The sign-flip test of a mean drop, and Holm's correction for several of them."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from jaxtyping import Float64

from heatproof.evaluators.statistics.arms import ArmContrast, Column

EXACT_UP_TO: Final = 12
"""Up to this many units, all sign patterns are tried."""
PERMUTATIONS: Final = 9_999
_CHUNK_CELLS: Final = 4_000_000
"""Largest block of signs in memory, in cells."""
_ROUNDING: Final = 1e-12
"""Sums of the same numbers in another order differ by this share of their size."""

Signs = Float64[np.ndarray, "patterns units"]


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
    counts = [drop.count for drop in drops]
    large = [each for each, count in zip(beyond, counts, strict=True) if count > EXACT_UP_TO]
    sampled = iter(_sampled_p_values(large, seed=seed))
    return tuple(
        next(sampled) if drop.count > EXACT_UP_TO else _exact_p_value(each[drop.scored])
        for drop, each in zip(drops, beyond, strict=True)
    )


def smallest_p_value(units: int) -> float:
    """Smallest p-value that a test on this many units can give."""
    return 2.0**-units if units <= EXACT_UP_TO else 1 / (1 + PERMUTATIONS)


def _exact_p_value(beyond: Column) -> float:
    patterns = np.arange(2 ** len(beyond))[:, None]
    signs = 1.0 - 2.0 * ((patterns >> np.arange(len(beyond))) & 1)
    return float(_reached(signs, beyond[:, None])[0] / len(signs))


def _sampled_p_values(beyond: Sequence[Column], *, seed: int) -> list[float]:
    if not beyond:
        return []
    columns = np.stack(beyond, axis=1)
    reached = np.zeros(len(beyond))
    for signs in _random_signs(len(columns), np.random.default_rng(seed)):
        reached += _reached(signs, columns)
    return [float((1 + count) / (1 + PERMUTATIONS)) for count in reached]


def _random_signs(units: int, rng: np.random.Generator) -> Iterator[Signs]:
    chunk = max(1, _CHUNK_CELLS // units)
    for start in range(0, PERMUTATIONS, chunk):
        rows = min(chunk, PERMUTATIONS - start)
        yield 1.0 - 2.0 * rng.integers(0, 2, size=(rows, units), dtype=np.uint8)


def _reached(signs: Signs, beyond: Float64[np.ndarray, "units tests"]) -> Column:
    """Counts the patterns whose sum is at least the one that was found; ties count."""
    slack = _ROUNDING * np.abs(beyond).sum(axis=0)
    reached = signs @ beyond >= beyond.sum(axis=0) - slack
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
