"""How far the worst of several groups is from the best, and how sure that is.

Which groups look worst and best is chosen with their scores in view, so that an interval of these
two alone would say too much. Intervals of all groups that hold together, which Bonferroni's
correction gives, bound the difference between the truly worst and the truly best one, whichever
they are. Ours.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from heatproof.evaluators.outcomes import Direction

Ends: TypeAlias = tuple[float, float]
"""Lower and upper end of an interval."""

MAX_GROUPS: Final = 20
"""Of more groups the resamples do not tell intervals that hold together."""

_FEWEST: Final = 2


@dataclass(frozen=True, slots=True)
class Gap:
    """The worst of several groups against the best.

    Attributes:
        worst: its place among the groups.
        best: its place among the groups.
        value: how much worse it is, at least 0.
        ends: of the difference between the truly worst and the truly best; None where a group has
            no interval.
    """

    worst: int
    best: int
    value: float
    ends: Ends | None


def is_comparable(groups: int) -> bool:
    """Whether so many groups are compared."""
    return _FEWEST <= groups <= MAX_GROUPS


def joint_level(level: float, groups: int) -> float:
    """The level of each interval at which those of all groups hold together."""
    return 1 - (1 - level) / groups


def gap(estimates: Sequence[float], intervals: Sequence[Ends | None], direction: Direction) -> Gap:
    """Finds the worst and the best group; of equal ones the first.

    Args:
        estimates: the score of each group, two at least.
        intervals: ends that hold together, of each group; None where it has none.
        direction: what a good score is.
    """
    badness = [_BADNESS[direction]((value, value))[0] for value in estimates]
    worst, best = badness.index(max(badness)), badness.index(min(badness))
    turned = [_BADNESS[direction](ends) for ends in intervals if ends is not None]
    ends = None
    if len(turned) == len(badness):
        lowers, uppers = [one[0] for one in turned], [one[1] for one in turned]
        ends = (max(0.0, max(lowers) - min(uppers)), max(uppers) - min(lowers))
    return Gap(worst, best, badness[worst] - badness[best], ends)


def _magnitude(ends: Ends) -> Ends:
    lower, upper = ends
    largest = max(abs(lower), abs(upper))
    return (0.0 if lower <= 0 <= upper else min(abs(lower), abs(upper)), largest)


_BADNESS: Final[Mapping[Direction, Callable[[Ends], Ends]]] = MappingProxyType(
    {
        Direction.HIGHER_IS_BETTER: lambda ends: (-ends[1], -ends[0]),
        Direction.LOWER_IS_BETTER: lambda ends: ends,
        Direction.CLOSER_TO_ZERO: _magnitude,
    }
)
"""What turns an interval of scores into one of how bad they are."""
