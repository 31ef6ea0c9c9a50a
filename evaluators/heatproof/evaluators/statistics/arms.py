"""Arms and contrasts: what the statistics resample, whole units at a time.

Rows are images, or the units that they make up: images that are counted once, or groups of them.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64

Column = Float64[np.ndarray, "rows"]
Rows = Bool[np.ndarray, "rows"]

ROUNDING: Final = 1e-13
"""Residuals below this share of their terms are rounding, not spread."""


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """A ratio of means over the rows that have a score; a mean has denominators of 1.

    A mean over groups has the groups' sums as numerators and their sizes as denominators.

    Attributes:
        numerators: one a row; 0 where not scored.
        denominators: one a row; 0 where not scored.
        scored: which rows have a score.
    """

    numerators: Column
    denominators: Column
    scored: Rows

    @classmethod
    def of_mean(cls, values: Column) -> "Arm":
        """The mean of the values that are finite."""
        return cls.of_ratio(values, np.ones_like(values))

    @classmethod
    def of_ratio(cls, numerators: Column, denominators: Column) -> "Arm":
        """The ratio of the means, over rows where both values are finite."""
        scored = np.isfinite(numerators) & np.isfinite(denominators)
        return cls(np.where(scored, numerators, 0.0), np.where(scored, denominators, 0.0), scored)

    @property
    def count(self) -> int:
        """Rows with a score."""
        return int(self.scored.sum())

    def estimate(self) -> float:
        """The ratio of the means; NaN if nothing was scored or the denominators cancel."""
        denominator = self.denominators.sum()
        with np.errstate(over="ignore"):  # what is infinite is no estimate, and is refused as such
            return float(self.numerators.sum() / denominator) if denominator else np.nan

    def residuals(self) -> Column:
        """`u - R v`, row by row; sums to 0."""
        fitted = self.estimate() * self.denominators
        residuals = self.numerators - fitted
        size = np.abs(self.numerators) + np.abs(fitted)
        return np.where(np.abs(residuals) <= ROUNDING * size, 0.0, residuals)

    def within(self, rows: Rows) -> "Arm":
        """The same arm, scored on some of the rows only."""
        kept = self.scored & rows
        return type(self)(
            np.where(kept, self.numerators, 0.0), np.where(kept, self.denominators, 0.0), kept
        )


@dataclass(frozen=True, slots=True, eq=False)
class ArmContrast:
    """A weighted sum of arms over the same scored rows, such as one arm less another.

    Attributes:
        arms: at least one.
        signs: how each of them counts.
    """

    arms: tuple[Arm, ...]
    signs: tuple[float, ...] = (1.0,)

    @classmethod
    def between(cls, first: Arm, second: Arm) -> "ArmContrast":
        """The first arm less the second; both must be scored on the same rows."""
        return cls((first,)).minus(cls((second,)))

    def minus(self, other: "ArmContrast") -> "ArmContrast":
        """This sum less another; both must be scored on the same rows.

        Arms of equal denominators become one: a difference of means is the mean of the differences,
        and no digits are lost.
        """
        alike: dict[bytes, list[tuple[float, Arm]]] = {}
        for sign, arm in (*_signed(self, 1.0), *_signed(other, -1.0)):
            alike.setdefault(arm.denominators.tobytes(), []).append((sign, arm))
        signs, arms = zip(*map(_merged, alike.values()), strict=True)
        return type(self)(arms, signs)

    def within(self, rows: Rows) -> "ArmContrast":
        """The same sum, scored on some of the rows only."""
        return type(self)(tuple(arm.within(rows) for arm in self.arms), self.signs)

    @property
    def scored(self) -> Rows:
        """Which rows have a score; the same for all arms."""
        return self.arms[0].scored

    @property
    def count(self) -> int:
        """Rows with a score."""
        return self.arms[0].count

    def estimate(self) -> float:
        """The weighted sum of the arms' estimates; NaN if one has none."""
        first, *others = (s * arm.estimate() for s, arm in zip(self.signs, self.arms, strict=True))
        return sum(others, start=first)

    def standard_error(self) -> float:
        """Standard error of the estimate by its influence function; NaN below 2 rows.

        `sqrt(sum psi^2 / (n (n - 1)))`, where a ratio's influence is `psi = (u - R v) / mean(v)`.
        """
        count = self.count
        if count < 2 or not np.isfinite(self.estimate()):
            return np.nan
        return float(np.sqrt((self.influence() ** 2).sum() / (count * (count - 1))))

    def influence(self) -> Column:
        """What each row adds to the estimate, to first order; sums to 0, and 0 where not scored."""
        influence = np.zeros(len(self.scored))
        for sign, arm in zip(self.signs, self.arms, strict=True):
            influence += sign * arm.residuals() * self.count / arm.denominators.sum()
        return influence

    def deviations(self, value: float) -> Column:
        """What each row says against the estimate being `value`; 0 where not scored.

        `u - value * v` for one arm, exactly; the influence about `value` for a sum of several.
        """
        if self.signs == (1.0,):
            return self.arms[0].numerators - value * self.arms[0].denominators
        return np.where(self.scored, self.influence() + self.estimate() - value, 0.0)


def _signed(contrast: ArmContrast, turn: float) -> list[tuple[float, Arm]]:
    return [(turn * sign, arm) for sign, arm in zip(contrast.signs, contrast.arms, strict=True)]


def _merged(terms: list[tuple[float, Arm]]) -> tuple[float, Arm]:
    """One arm for several of the same denominators."""
    if len(terms) == 1:
        return terms[0]
    _, first = terms[0]
    left = _uncancelled(terms)
    if not left:
        return 1.0, Arm(np.zeros_like(first.numerators), first.denominators, first.scored)
    sign, arm = left[0]
    numerators = sign * arm.numerators
    for other_sign, other in left[1:]:
        numerators = numerators + other_sign * other.numerators
    return 1.0, Arm(numerators, first.denominators, first.scored)


def _uncancelled(terms: list[tuple[float, Arm]]) -> list[tuple[float, Arm]]:
    """The terms without pairs of opposites, whose sum in any other order would be rounding."""
    left: list[tuple[float, Arm]] = []
    for sign, arm in terms:
        opposite = next(
            (
                place
                for place, (other_sign, other) in enumerate(left)
                if other_sign == -sign and np.array_equal(other.numerators, arm.numerators)
            ),
            None,
        )
        if opposite is None:
            left.append((sign, arm))
        else:
            del left[opposite]
    return left
