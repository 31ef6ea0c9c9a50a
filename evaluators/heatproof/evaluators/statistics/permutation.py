"""The paired permutation test, and Holm's correction for several of them."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64

from heatproof.evaluators.statistics.arms import Arm

EXACT_UP_TO: Final = 12
"""Up to this many pairs, all sign patterns are tried."""
RESAMPLES: Final = 9_999
CHUNK_CELLS: Final = 4_000_000


def paired_p_value(worse: Arm, better: Arm, *, seed: int) -> float:
    """One-sided p-value of `worse.estimate() > better.estimate()` under exchangeable arms.

    Candidate and baseline are swapped image by image: all patterns up to 12 pairs, else 9,999
    seeded ones with `p = (1 + b) / (1 + B)`. Both arms must be scored on every image.
    """
    swaps = _swaps(worse.count, np.random.default_rng(seed))
    observed = worse.estimate() - better.estimate()
    # Sums of the same numbers in another order differ by rounding; ties count against the claim.
    slack = 1e-12 * max(1.0, abs(worse.estimate()), abs(better.estimate()))
    differences = _swapped_differences(worse, better, swaps)
    extreme = int((differences >= observed - slack).sum())
    if worse.count <= EXACT_UP_TO:
        return extreme / len(swaps)
    return (1 + extreme) / (1 + len(swaps))


def smallest_p_value(pairs: int) -> float:
    """Smallest p-value that a test on this many pairs can give."""
    return 2.0**-pairs if pairs <= EXACT_UP_TO else 1 / (1 + RESAMPLES)


def _swaps(pairs: int, rng: np.random.Generator) -> Bool[np.ndarray, "patterns pairs"]:
    if pairs <= EXACT_UP_TO:
        patterns = np.arange(2**pairs)[:, None]
        return np.asarray((patterns >> np.arange(pairs)) & 1, dtype=np.bool_)
    return rng.integers(0, 2, size=(RESAMPLES, pairs), dtype=np.uint8).astype(np.bool_)


def _swapped_differences(
    first: Arm, second: Arm, swaps: Bool[np.ndarray, "patterns pairs"]
) -> Float64[np.ndarray, "patterns"]:
    chunk = max(1, CHUNK_CELLS // max(1, first.count))
    blocks = [
        _difference(first, second, swaps[start : start + chunk].astype(np.float64))
        for start in range(0, len(swaps), chunk)
    ]
    return np.concatenate(blocks)


def _difference(
    first: Arm, second: Arm, swapped: Float64[np.ndarray, "patterns pairs"]
) -> Float64[np.ndarray, "patterns"]:
    numerators = swapped @ (second.numerators - first.numerators)
    denominators = swapped @ (second.denominators - first.denominators)
    with np.errstate(divide="ignore", invalid="ignore"):
        one = (first.numerators.sum() + numerators) / (first.denominators.sum() + denominators)
        other = (second.numerators.sum() - numerators) / (second.denominators.sum() - denominators)
    # A swap without an estimate counts against the claim.
    return np.asarray(np.nan_to_num(one - other, nan=np.inf), dtype=np.float64)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's step-down adjustment, in the order given (Holm 1979)."""
    order = np.argsort(np.asarray(p_values), kind="stable")
    adjusted = np.empty(len(p_values))
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return tuple(float(value) for value in adjusted)
