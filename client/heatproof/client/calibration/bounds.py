"""Where a bound lies between a model's map and blind maps, which know nothing of the model.

| case | what is written |
|---|---|
| the map's interval lies clear of every blind map's | a check at the middle of the gap |
| clear of noise alone | a check at the middle of that gap |
| only its score is better than every blind map's | a warning on the mean, between the scores |
| nothing of this, or there is no interval | nothing, with the reason |

An interval lies clear of another if the gap between them is at least as wide as the score lies
from the end of its own interval: a bound in the middle of a narrower one would soon be straddled by
other images. Photographs have habits, such as objects in their middle, so that a blind map may
score well; noise shares none, and a map turned upside down falls behind it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from heatproof.v1.results_pb2 import Direction, Summary

MAX_DIGITS: Final = 6
"""Digits after the point of a bound; two where the gap has room for them."""


NOISE: Final = "random"
"""The blind map that shares no habit of photographs."""


class Standing(StrEnum):
    """What becomes of a metric."""

    CHECK = "check"
    WARNING = "warning"
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class Bound:
    """What a calibration says of one metric and explainer.

    Attributes:
        standing: what becomes of it.
        value: where the bound lies; None if it is left out.
        rival: the blind map that the bound is held against; "" if there is none.
        reason: why it is no check against all blind maps; "" of one.
    """

    standing: Standing
    value: float | None = None
    rival: str = ""
    reason: str = ""


def bound_of(
    own: Summary, controls: Mapping[str, Summary], direction: "Direction.ValueType"
) -> Bound:
    """Derives a bound; see the table of this module.

    Args:
        own: score of the model's map.
        controls: scores of blind maps, by name; among them `NOISE`.
        direction: what a good score is.
    """
    sign = -1.0 if direction == Direction.DIRECTION_LOWER_IS_BETTER else 1.0
    mine, theirs = _reach(own, sign), {name: _reach(one, sign) for name, one in controls.items()}
    known = {name: reach for name, reach in theirs.items() if reach is not None}
    if mine is None:
        return Bound(Standing.LEFT_OUT, reason="the map has no interval here")
    if NOISE not in known:
        return Bound(Standing.LEFT_OUT, reason=f"{NOISE} has no interval here")
    rival = max(known, key=lambda name: known[name].best)
    if mine.is_clear_of(known[rival]):
        return Bound(Standing.CHECK, sign * _middle(known[rival].best, mine.worst), rival)
    if mine.is_clear_of(known[NOISE]):
        value = sign * _middle(known[NOISE].best, mine.worst)
        return Bound(Standing.CHECK, value, NOISE, f"{rival} comes too near")
    return _weaker(mine, known, sign)


def _weaker(mine: "_Reach", known: Mapping[str, "_Reach"], sign: float) -> Bound:
    """What is left where intervals do not tell the map from noise."""
    nearest = max(known, key=lambda name: known[name].value)
    if mine.value <= known[nearest].value:
        return Bound(Standing.LEFT_OUT, rival=nearest, reason=f"{nearest} scores no worse")
    value = sign * _middle(known[nearest].value, mine.value)
    return Bound(Standing.WARNING, value, nearest, f"its interval and that of {NOISE} are too near")


def below(value: float, lower: float) -> float:
    """A bound as far below the lower end of an interval as that lies below the score."""
    return max(0.0, _rounded(2 * lower - value, room=0.01, down=True))


@dataclass(frozen=True, slots=True)
class _Reach:
    """A score and its interval, turned so that more is better."""

    worst: float
    value: float
    best: float

    def is_clear_of(self, other: "_Reach") -> bool:
        """Whether a bound fits between this and a worse one, with room for other images."""
        gap = self.worst - other.best
        return gap > 0 and gap >= self.value - self.worst


def _reach(summary: Summary, sign: float) -> _Reach | None:
    """None where there is no interval; scores that are all equal need none."""
    if not summary.HasField("value"):
        return None
    if summary.HasField("interval"):
        ends: Iterable[float] = (summary.interval.lower, summary.interval.upper)
    elif summary.HasField("standard_error") and summary.standard_error == 0:
        ends = (summary.value, summary.value)
    else:
        return None
    worst, best = sorted(sign * end for end in ends)
    return _Reach(worst, sign * summary.value, best)


def _middle(low: float, high: float) -> float:
    """The middle of a gap with as few digits as leave it well inside."""
    return _rounded((low + high) / 2, room=(high - low) / 4)


def _rounded(value: float, *, room: float, down: bool = False) -> float:
    for digits in range(2, MAX_DIGITS):
        found = round(value - (0.5 * 10**-digits if down else 0), digits)
        if abs(found - value) <= room:
            return found
    return value
