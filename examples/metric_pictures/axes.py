"""Axes with round ticks: from values to pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

_TICKS: Final = 4
_DECADES: Final = 3
"""How far values must lie apart for an axis of powers of ten."""


class Axis(Protocol):
    """Where values lie along a line of pixels."""

    @property
    def ticks(self) -> np.ndarray:
        """Values that are written."""
        ...

    def pixel(self, value: float) -> int:
        """The place of a value, from the low end."""
        ...


def axis_of(values: Sequence[float], pixels: int) -> Axis:
    """An axis around values: of powers of ten where they are positive and lie far apart."""
    positive = [value for value in values if value > 0]
    if min(values, default=0) >= 0 and positive and max(positive) > 10**_DECADES * min(positive):
        return LogAxis.over(positive, pixels)
    return LinearAxis.over(values, pixels)


@dataclass(frozen=True)
class LinearAxis:
    """Equal differences are equally far apart."""

    low: float
    high: float
    pixels: int
    step: float

    @classmethod
    def over(cls, values: Sequence[float], pixels: int) -> "LinearAxis":
        """Around values, with round ends."""
        low, high = min(values, default=0.0), max(values, default=1.0)
        if low == high:
            low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)
        step = _round_step((high - low) / _TICKS)
        return cls(step * np.floor(low / step), step * np.ceil(high / step), pixels, step)

    @property
    def ticks(self) -> np.ndarray:
        """From end to end, a step apart."""
        return np.arange(self.low, self.high + self.step / 2, self.step)

    def pixel(self, value: float) -> int:
        """The place of a value, from the low end."""
        return round(self.pixels * (value - self.low) / (self.high - self.low))


@dataclass(frozen=True)
class LogAxis:
    """Equal ratios are equally far apart; what is 0 lies at the low end.

    Attributes:
        low: exponent of the low end.
        high: exponent of the high end.
        pixels: between them.
    """

    low: int
    high: int
    pixels: int

    @classmethod
    def over(cls, values: Sequence[float], pixels: int) -> "LogAxis":
        """Around positive values, from one power of ten to another."""
        ends = np.log10([min(values), max(values)])
        return cls(int(np.floor(ends[0])), int(np.ceil(ends[1])), pixels)

    @property
    def ticks(self) -> np.ndarray:
        """Powers of ten, at most one more than `_TICKS`."""
        step = -(-(self.high - self.low) // (_TICKS + 1))
        return 10.0 ** np.arange(self.low, self.high + 1, step)

    def pixel(self, value: float) -> int:
        """The place of a value, from the low end."""
        exponent = max(np.log10(value), self.low) if value > 0 else self.low
        return round(self.pixels * (exponent - self.low) / (self.high - self.low))


def _round_step(wanted: float) -> float:
    power = 10.0 ** np.floor(np.log10(wanted))
    return float(next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= wanted))
