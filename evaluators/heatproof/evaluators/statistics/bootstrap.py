"""Bootstrap-t: intervals of means, ratios of means and their differences.

Percentile intervals err at small n: of 8 normal draws they miss the mean in 10 % of samples instead
of 5 %. Studentised resampling holds its level (Efron and Tibshirani 1993, chapter 12).

A resample's estimate and standard error depend on sums of a few columns alone, so all resamples
of all contrasts are one product: weights [resamples, units] times columns [units, columns].
Columns are rounded to a grid on which these sums are exact; hence neither the number of threads
nor the other contrasts change a bit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from heatproof.evaluators.statistics.arms import ArmContrast, Column

RESAMPLES: Final = 10_000
MIN_UNITS: Final = 8
"""Fewer units give no interval."""
MAX_VANISHING: Final = 0.01
"""A larger share of resamples without spread gives no interval."""
CHUNK_CELLS: Final = 250_000
"""Largest block of resampling weights in memory, in cells."""
GROUP_CELLS: Final = 16_000_000
"""Largest block of columns, and of their sums, in memory, in cells."""
SPREADLESS: Final = 1e-3
"""Share of the standard error below which a resample has no spread: what rounding may leave."""

UnitColumns = Float64[np.ndarray, "units columns"]
Sums = Float64[np.ndarray, "resamples columns"]


@dataclass(frozen=True, slots=True, eq=False)
class Studentised:
    """The bootstrap distribution of one contrast.

    Attributes:
        estimate: the contrast's estimate.
        standard_error: of the estimate.
        pivots: `(resampled estimate - estimate) / resampled standard error`, where both exist.
        vanishing: share of the resamples without spread.
    """

    estimate: float
    standard_error: float
    pivots: Float64[np.ndarray, "pivots"]
    vanishing: float

    def limit(self, tail: float) -> float | None:
        """The limit that leaves `tail` of the confidence below it.

        None if more than 1 % of the resamples have no spread: nearly all scores are equal, and
        what a larger sample would add to them is not in the resamples.
        """
        if self.vanishing > MAX_VANISHING:
            return None
        pivot = np.quantile(self.pivots, 1 - tail, method="inverted_cdf")
        limit = self.estimate - pivot * self.standard_error
        return float(limit) if np.isfinite(limit) else None


def limit_of(found: Studentised | None, tail: float) -> float | None:
    """The limit of a distribution that there may not be."""
    return None if found is None else found.limit(tail)


def bootstrap_t(contrasts: Sequence[ArmContrast], *, seed: int) -> tuple[Studentised | None, ...]:
    """Resamples whole units, the same ones for all contrasts, and studentises each.

    Args:
        contrasts: over the same units in the same order.
        seed: of the resamples.

    Returns:
        One distribution a contrast; None below 8 scored units or without an estimate.
    """
    if not contrasts:
        return ()
    units = len(contrasts[0].scored)
    groups = _grouped(contrasts, GROUP_CELLS // max(units, RESAMPLES))
    return tuple(found for group in groups for found in _studentise_group(group, seed=seed))


def _grouped(contrasts: Sequence[ArmContrast], columns: int) -> list[list[ArmContrast]]:
    """Cuts contrasts into groups of about so many columns, at least one contrast each."""
    groups: list[list[ArmContrast]] = []
    held = 0
    for contrast in contrasts:
        own = max(16, (2 * len(contrast.arms) + 1) ** 2)
        if not groups or held + own > columns:
            groups.append([])
            held = 0
        groups[-1].append(contrast)
        held += own
    return groups


def _studentise_group(contrasts: Sequence[ArmContrast], *, seed: int) -> list[Studentised | None]:
    places: dict[bytes, int] = {}
    distinct: list[Column] = []
    rows: list[list[int] | None] = []
    for contrast in contrasts:
        columns = _on_grid(_moments(contrast)) if _is_resampled(contrast) else None
        rows.append(None if columns is None else _place(columns, places, distinct))
    if not distinct:
        return [None] * len(contrasts)
    sums = resampled_sums(np.stack(distinct, axis=1), np.random.default_rng(seed))
    return [
        None if row is None else _studentise(contrast, sums[:, row])
        for contrast, row in zip(contrasts, rows, strict=True)
    ]


def _is_resampled(contrast: ArmContrast) -> bool:
    return contrast.count >= MIN_UNITS and bool(np.isfinite(contrast.estimate()))


def _moments(contrast: ArmContrast) -> UnitColumns:
    """Scored, then per arm its residuals and denominators, then the products of all these."""
    pairs = [column for arm in contrast.arms for column in (arm.residuals(), arm.denominators)]
    columns = np.stack(pairs, axis=1)
    products = (columns[:, :, None] * columns[:, None, :]).reshape(len(columns), -1)
    return np.concatenate([contrast.scored[:, None].astype(np.float64), columns, products], axis=1)


def _on_grid(columns: UnitColumns) -> UnitColumns:
    """Rounds each column so that n of its entries sum exactly, in any order."""
    bits = 52 - len(columns).bit_length()
    largest = np.abs(columns).max(axis=0)
    exponents = np.frexp(largest)[1] - bits
    rounded: UnitColumns = np.ldexp(np.rint(np.ldexp(columns, -exponents)), exponents)
    return rounded


def _place(columns: UnitColumns, places: dict[bytes, int], distinct: list[Column]) -> list[int]:
    """Adds columns that are new to `distinct`, and tells where each one is."""
    row = []
    for column in columns.T:
        content = column.tobytes()
        if content not in places:
            places[content] = len(distinct)
            distinct.append(column)
        row.append(places[content])
    return row


def resampled_sums(
    columns: UnitColumns, rng: np.random.Generator, resamples: int = RESAMPLES
) -> Sums:
    """Sums of columns over units that are drawn with replacement, one row a resample."""
    sums = np.empty((resamples, columns.shape[1]))
    filled = 0
    for weights in _weights(len(columns), rng, resamples):
        stop = filled + len(weights)
        np.matmul(weights, columns, out=sums[filled:stop])
        filled = stop
    return sums


def _weights(
    units: int, rng: np.random.Generator, resamples: int = RESAMPLES
) -> Iterator[Float64[np.ndarray, "chunk units"]]:
    """How often each resample drew each unit, in chunks; 5 x faster than `multinomial`."""
    chunk = max(1, CHUNK_CELLS // units)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        drawn = rng.integers(0, units, size=(rows, units), dtype=np.uint32).astype(np.int64)
        drawn += np.arange(rows)[:, None] * units
        counts = np.bincount(drawn.ravel(), minlength=rows * units)
        yield counts.reshape(rows, units).astype(np.float64)


def _studentise(contrast: ArmContrast, sums: Sums) -> Studentised:
    """Estimates less the estimate, over their standard errors.

    With `d = sum e / sum v` a resampled ratio is `R + d` and its influence `(e - d v) / mean(v)`:
    linear in the columns, so its sum of squares is a quadratic form of the products' sums.
    """
    standard_error = contrast.standard_error()
    width = 2 * len(contrast.arms)
    counts, totals = sums[:, 0], sums[:, 1 : 1 + width]
    products = sums[:, 1 + width :].reshape(len(sums), width, width)
    signs = np.array(contrast.signs)
    with np.errstate(divide="ignore", invalid="ignore"):
        shifts = totals[:, 0::2] / totals[:, 1::2]
        weights = np.empty_like(totals)
        weights[:, 0::2] = signs * counts[:, None] / totals[:, 1::2]
        weights[:, 1::2] = -weights[:, 0::2] * shifts
        squares = np.einsum("ri,rij,rj->r", weights, products, weights)
        errors = np.sqrt(np.maximum(squares, 0.0) / (counts * (counts - 1)))
        # A single unit has no spread either; 0 / 0 above.
        flat = (errors <= SPREADLESS * standard_error) | (counts <= 1)
        errors[flat] = 0.0
        pivots = (shifts @ signs) / errors
    vanishing = float((flat | np.isnan(errors)).mean())
    # A resample at the estimate without spread says nothing; one off it is infinitely far.
    return Studentised(contrast.estimate(), standard_error, pivots[~np.isnan(pivots)], vanishing)
