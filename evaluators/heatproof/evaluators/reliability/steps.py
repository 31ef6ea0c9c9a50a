"""Whether a metric puts the maps of a trial in the order that is known beforehand."""

from collections.abc import Iterator, Sequence

from heatproof.evaluators.comparison.differences import Duel, ModelValue, differences_of
from heatproof.evaluators.comparison.values import ModelDifference
from heatproof.evaluators.evaluation.columns import Quantity
from heatproof.evaluators.evaluation.results import Interval, Summary
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.reliability.trials import Trial
from heatproof.evaluators.reliability.values import Holds, OrderStep, Role
from heatproof.evaluators.statistics.groups.units import Units
from heatproof.evaluators.statistics.intervals import Measured

LADDER = (Role.RANDOM, Role.BLIND, Role.EXPLAINER, Role.ORACLE)
"""Roles, each of which should score better than those before it."""


def steps_of(
    trial: Trial,
    quantities: Sequence[Quantity],
    summaries: Sequence[Summary],
    units: Units,
    *,
    seed: int,
) -> tuple[OrderStep, ...]:
    """Compares every pair of maps of different roles, on the same images and resamples.

    Args:
        trial: the maps.
        quantities: the score of each, over the shared images; its magnitude where closer to zero is
            better.
        summaries: of these.
        units: of all images that count.
        seed: of the resamples.
    """
    pairs = list(_pairs(trial))
    values = [
        ModelValue(
            str(place),
            Measured(
                units.summed_contrast(quantity.contrast),
                quantity.reduction,
                units.grouped,
                units.largest,
            ),
            summary.value,
        )
        for place, (quantity, summary) in enumerate(zip(quantities, summaries, strict=True))
    ]
    duels = [Duel(values[better], values[worse], is_tested=False) for worse, better in pairs]
    found = differences_of(duels, tolerance=0.0, tests=0, seed=seed)
    turned = trial.key.metric.direction is not Direction.HIGHER_IS_BETTER
    return tuple(
        _step(*pair, difference, turned=turned)
        for pair, difference in zip(pairs, found, strict=True)
    )


def _pairs(trial: Trial) -> Iterator[tuple[int, int]]:
    """Places of the map that should score worse, and of the one that should score better."""
    for rung, role in enumerate(LADDER):
        for better in trial.places(role):
            for lower in LADDER[:rung]:
                yield from ((worse, better) for worse in trial.places(lower))


def _step(worse: int, better: int, found: ModelDifference, *, turned: bool) -> OrderStep:
    if found.difference is None:
        return OrderStep(worse, better, None, None, Holds.UNDECIDED)
    sign = -1 if turned else 1
    interval = _signed(found.interval, sign)
    return OrderStep(worse, better, sign * found.difference, interval, _holds(interval))


def _signed(interval: Interval | None, sign: int) -> Interval | None:
    if interval is None or sign > 0:
        return interval
    return Interval(-interval.upper, -interval.lower, interval.level, interval.method)


def _holds(gain: Interval | None) -> Holds:
    if gain is not None and gain.lower > 0:
        return Holds.HOLDS
    if gain is not None and gain.upper < 0:
        return Holds.VIOLATED
    return Holds.UNDECIDED
