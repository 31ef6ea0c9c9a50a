"""Numbers as every rendering writes them."""

from dataclasses import dataclass
from typing import Final, Self

from heatproof.v1.results_pb2 import Direction, Interval, Summary

ARROWS: Final = {
    Direction.DIRECTION_HIGHER_IS_BETTER: "↑",
    Direction.DIRECTION_LOWER_IS_BETTER: "↓",
    Direction.DIRECTION_CLOSER_TO_ZERO: "→0",
}
"""What a good score is."""

SIGNIFICANCE: Final = 0.05
"""A corrected p-value below this tells a difference from chance, if the interval agrees."""

ABSENT: Final = "\N{EN DASH}"
"""Stands where there is no number."""


def number(value: float) -> str:
    """A score in four significant digits."""
    text = f"{value:.4g}"
    return "0" if text == "-0" else text


def estimate(summary: Summary) -> str:
    """The estimate, or a dash."""
    return number(summary.value) if summary.HasField("value") else ABSENT


def interval(summary: Summary) -> str:
    """The interval, or a dash."""
    return ends(summary.interval) if summary.HasField("interval") else ABSENT


def ends(held: Interval) -> str:
    """The ends of an interval."""
    return f"[{number(held.lower)}, {number(held.upper)}]"


def signed(value: float) -> str:
    """A difference in four significant digits, with its sign."""
    text = number(value)
    return f"+{text}" if value > 0 else text


def probability(value: float | None) -> str:
    """A p-value in two significant digits, or a dash."""
    return ABSENT if value is None else f"{value:.2g}"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval; dashes stand for what there is not."""

    value: str
    interval: str

    @classmethod
    def of(cls, summary: Summary) -> Self:
        """Puts a summary into words."""
        return cls(estimate(summary), interval(summary))

    def __str__(self) -> str:
        """The value, and its interval where there is one."""
        return self.value if self.interval == ABSENT else f"{self.value} {self.interval}"
