"""Estimates with their intervals, drawn and in words."""

from __future__ import annotations  # `_Scale` makes itself

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from heatproof.client.report.numbers import number, signed
from heatproof.v1.comparison_pb2 import ModelDifference
from heatproof.v1.gate_pb2 import Check
from heatproof.v1.results_pb2 import Interval, Summary

WHISKER_WIDTH: Final = 150
WHISKER_HEIGHT: Final = 22
"""Pixels of a drawing."""

MARGIN: Final = 8
"""Pixels at both sides, so that no dot is cut."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the scale, in pixels."""

    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Whisker:
    """An estimate with its interval and bounds, in pixels.

    Attributes:
        dot: the estimate.
        low: lower end of the interval.
        high: upper end.
        bounds: the bounds it is held against.
        allowed: what the bounds allow; None without bounds, or where they are but a mark.
        words: the same in words and numbers, for who does not see it.
    """

    dot: float
    low: float
    high: float
    bounds: tuple[float, ...]
    allowed: Span | None
    words: str


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values to pixels."""

    low: float
    high: float

    @classmethod
    def over(cls, values: Sequence[float]) -> _Scale:
        return cls(min(values), max(values))

    def at(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return round(MARGIN + share * (WHISKER_WIDTH - 2 * MARGIN), 1)


def checked(summary: Summary, check: Check) -> Whisker | None:
    """Draws an estimate against the bounds of a check; None without an estimate."""
    if not summary.HasField("value"):
        return None
    ends = _ends(summary, summary.value)
    bounds = [getattr(check, name) for name in ("min", "max") if check.HasField(name)]
    scale = _Scale.over([summary.value, *ends, *bounds])
    parts = [f"score {number(summary.value)}", _interval_words(summary), _bound_words(check)]
    return Whisker(
        dot=scale.at(summary.value),
        low=scale.at(ends[0]),
        high=scale.at(ends[1]),
        bounds=tuple(map(scale.at, bounds)),
        allowed=_allowed(check, scale),
        words=_joined([*parts, f"{summary.scored} images scored"]),
    )


def compared(differences: Sequence[ModelDifference], images: Sequence[str]) -> list[Whisker | None]:
    """Draws differences against 0, on one scale; None where there is none.

    Args:
        differences: of one quantity.
        images: how many images each is over, in words.
    """
    drawn = [held for held in differences if held.HasField("difference")]
    ends = [end for held in drawn for end in _ends(held, held.difference)]
    scale = _Scale.over([0.0, *ends, *(held.difference for held in drawn)])
    return [
        _difference(held, count, scale) if held.HasField("difference") else None
        for held, count in zip(differences, images, strict=True)
    ]


def _difference(held: ModelDifference, images: str, scale: _Scale) -> Whisker:
    ends = _ends(held, held.difference)
    parts = [f"difference {signed(held.difference)}", _interval_words(held)]
    return Whisker(
        dot=scale.at(held.difference),
        low=scale.at(ends[0]),
        high=scale.at(ends[1]),
        bounds=(scale.at(0.0),),
        allowed=None,
        words=_joined([*parts, "0 is no difference", f"{images} images"]),
    )


def _ends(held: Summary | ModelDifference, value: float) -> tuple[float, float]:
    """The ends of the interval; both are the value where there is none."""
    if held.HasField("interval"):
        return held.interval.lower, held.interval.upper
    return value, value


def _interval_words(held: Summary | ModelDifference) -> str:
    return spoken(held.interval) if held.HasField("interval") else "no interval"


def spoken(held: Interval) -> str:
    """An interval in words, such as `95 % interval from 0.41 to 0.63`."""
    level = f"{100 * held.level:.3g} % " if held.level else ""
    return f"{level}interval from {number(held.lower)} to {number(held.upper)}"


def _bound_words(check: Check) -> str:
    least = [f"at least {number(check.min)}"] if check.HasField("min") else []
    most = [f"at most {number(check.max)}"] if check.HasField("max") else []
    return f"bound {' and '.join(least + most)}" if least or most else ""


def _allowed(check: Check, scale: _Scale) -> Span | None:
    if not (check.HasField("min") or check.HasField("max")):
        return None
    start = scale.at(check.min) if check.HasField("min") else 0.0
    end = scale.at(check.max) if check.HasField("max") else float(WHISKER_WIDTH)
    return Span(start, round(max(0.0, end - start), 1))


def _joined(parts: Sequence[str]) -> str:
    return ", ".join(part for part in parts if part)
