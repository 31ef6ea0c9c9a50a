"""Checks that are decided by confidence sequences, so that an evaluation may stop once all are.

A look is taken after each shard of units, which come in the order of a seeded hash. What is true at
one look is true at every later one: limits of a sequence only narrow, and its p-values only fall,
so that Holm's rejections only grow. Over all looks and checks together a bound is passed or failed
wrongly with chance 0.05 at most, and a model that is no worse than allowed is failed by any of the
regression checks with the same, whatever the scores' distribution and however the checks depend on
each other.

Waudby-Smith and Ramdas 2024, arXiv 2010.09686; the limits are those of `statistics/betting.py`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from heatproof.evaluators.errors import FailedPreconditionError, InvalidArgumentError
from heatproof.evaluators.evaluation.columns import Columns, Quantity, ResultColumns
from heatproof.evaluators.evaluation.plan import ResultKey, result_keys
from heatproof.evaluators.evaluation.results import (
    Interval,
    MetricResult,
    SequentialUnits,
    Summary,
)
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.summaries import (
    LEVEL,
    counted_summary,
    quantities_of,
    units_of,
)
from heatproof.evaluators.gate.pairing import Pair
from heatproof.evaluators.gate.policy import (
    Check,
    CheckKind,
    CleanAccuracy,
    Evaluated,
    On,
    Policy,
    Regression,
    Rule,
)
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.registry.parameters import Range
from heatproof.evaluators.statistics.arms import Arm, Column
from heatproof.evaluators.statistics.betting import Horizon, mean_limits, p_values, upper_limit
from heatproof.evaluators.statistics.groups.units import Units
from heatproof.evaluators.statistics.permutation import SIGNIFICANCE
from heatproof.evaluators.statistics.reductions import Proportion, Reduction

METHOD: Final = "confidence_sequence"
"""Name of the method of an interval."""

_TAIL: Final = (1 - LEVEL) / 2
"""Chance of error of each limit of a bound, for which the bets of p-values are made too."""


def why_at_the_end(rule: Rule, kind: CheckKind, reduction: Reduction, direction: Direction) -> str:
    """Says why all units are needed to hold a score against a rule; "" if a sequence decides it."""
    obstacles = {
        "groups of images are compared over all of them": kind is CheckKind.DISPARITY,
        "a mean that chose when to stop says too much; bound the interval": (
            rule.on is On.MEAN and kind is CheckKind.BOUND
        ),
        "it is a score of the set as a whole": not reduction.is_resampled,
        "it is no mean of the images' scores": not reduction.is_mean,
        "its scores have no finite range": not reduction.is_bounded,
        "which way is worse depends on the scores": (
            kind is CheckKind.REGRESSION and direction is Direction.CLOSER_TO_ZERO
        ),
    }
    return next((why for why, stands in obstacles.items() if stands), "")


def checks_at_the_end(policy: Policy, *, multi_label: bool = False) -> dict[int, str]:
    """The checks that a sequential policy decides only when all units are taken, and why.

    Args:
        policy: the rules.
        multi_label: whether images have sets of classes, of which the accuracy is no mean.

    Returns:
        Reasons by the index of the check; -1 is the clean accuracy.
    """
    reasons = {number: _reason(check) for number, check in enumerate(policy.checks)}
    if policy.clean_accuracy is not None:
        reasons[-1] = "it is a mean average precision" if multi_label else ""
        reasons[-1] = reasons[-1] or _reason(policy.clean_accuracy)
    return {number: reason for number, reason in reasons.items() if reason}


def _reason(rule: Rule) -> str:
    reduction, direction = _declared(rule)
    told = (why_at_the_end(rule, kind, reduction, direction) for kind in _kinds(rule))
    return next(filter(None, told), "")


def _declared(rule: Rule) -> tuple[Reduction, Direction]:
    if isinstance(rule, CleanAccuracy):
        return Proportion(), Direction.HIGHER_IS_BETTER
    return rule.metric.reduction, rule.metric.direction


def _kinds(rule: Rule) -> Iterator[CheckKind]:
    if rule.min is not None or rule.max is not None:
        yield CheckKind.BOUND
    if rule.max_regression is not None:
        yield CheckKind.REGRESSION
    if rule.max_disparity is not None:
        yield CheckKind.DISPARITY


def require_stoppable(policy: Policy) -> None:
    """Refuses a sequential policy of which no check could be decided before the end.

    Raises:
        InvalidArgumentError: says of each check why.
    """
    reasons = checks_at_the_end(policy)
    rules = len(policy.checks) + (policy.clean_accuracy is not None)
    if policy.sequential and len(reasons) == rules:
        told = "; ".join(f"{_place(policy, n)}: {why}" for n, why in sorted(reasons.items()))
        raise InvalidArgumentError(
            f"sequential evaluates all units under this policy, for none of its checks can be "
            f"decided before: {told}. Leave sequential out, or bound means of scores with a finite "
            "range on their interval",
            field="sequential",
        )


def require_valid(policy: Policy, candidate: Evaluated) -> None:
    """Refuses to hold what stopped by its own scores against rules for a fixed number of units.

    Raises:
        FailedPreconditionError: the policy, or one of its checks, is such a rule.
    """
    taken = candidate.taken
    if taken is None or not taken.stopped_early:
        return
    stopped = (
        f"{candidate.circumstances.evaluation or 'the evaluation'} stopped after {taken.units} of "
        f"{taken.units_total} units because their scores had decided the checks"
    )
    if not policy.sequential:
        raise FailedPreconditionError(
            f"{stopped}, and intervals for a fixed number of units do not hold for it: judge it "
            "by a policy with sequential = true, or evaluate all units",
            field="sequential",
        )
    multi_label = candidate.columns.images.are_multi_label
    for number, why in checks_at_the_end(policy, multi_label=multi_label).items():
        raise FailedPreconditionError(
            f"{stopped}, and {_place(policy, number)} needs all of them: {why}; leave it out, or "
            "evaluate all units",
            field="clean_accuracy" if number < 0 else f"checks[{number}]",
        )


def _place(policy: Policy, number: int) -> str:
    if number < 0:
        return "clean_accuracy"
    check: Check = policy.checks[number]
    return f"checks[{number}] ({check.metric.name})"


def units_taken(candidate: Evaluated, units: Units) -> SequentialUnits:
    """How many units a verdict is over, of how many."""
    return candidate.taken or SequentialUnits(units.count, units.count)


def sequence_results(spec: EvaluationSpec, columns: Columns) -> tuple[MetricResult, ...]:
    """The results of a spec with their summaries, without parts and curves.

    Args:
        spec: what was asked.
        columns: the images so far, and the results that are read; the others have no score.
    """
    units = units_of(columns.images, seed=spec.seed)
    return tuple(
        MetricResult(
            models=key.models,
            metric=key.metric,
            removal=key.removal,
            explainer=key.explainer,
            direction=key.metric.direction,
            summary=_so_far(key, columns.results.get(index), units),
            parts={},
            curves={},
        )
        for index, key in enumerate(result_keys(spec))
    )


def _so_far(key: ResultKey, held: ResultColumns | None, units: Units) -> Summary:
    if held is None:
        return Summary(None, None, None, 0, {})
    return _summary(quantities_of(key, held.taken(units.images))[""], units)


def sequence_summaries(quantities: Sequence[Quantity], units: Units) -> list[Summary]:
    """Summarizes quantities of units that stopped by their own scores.

    Means of bounded scores have their confidence sequence at the last unit; other scores have no
    interval, and nothing has a standard error, for none holds where scores decide how many there
    are. Where images have groups, a mean is that of the groups' means.

    Args:
        quantities: over the images that count, in their order.
        units: the units that these images make up.
    """
    return [_summary(quantity, units) for quantity in quantities]


def _summary(quantity: Quantity, units: Units) -> Summary:
    summed, reduction = units.summed_contrast(quantity.contrast), quantity.reduction
    counted = counted_summary(quantity, summed)
    if counted.value is None or not reduction.is_mean:
        return counted
    scores = _of_units(summed.arms[0])
    interval = _interval(scores, reduction.range) if reduction.is_bounded else None
    return replace(counted, value=float(scores.mean()), interval=interval)


def _interval(scores: Column, ends: Range) -> Interval | None:
    lower, upper = mean_limits(_mapped(scores, ends), _TAIL, Horizon.OPEN)
    if not lower <= upper:
        return None
    return Interval(
        ends.lower + ends.width * float(lower),
        ends.lower + ends.width * float(upper),
        LEVEL,
        METHOD,
    )


def sequence_regression(pair: Pair, allowed: float) -> Regression:
    """How much worse a candidate is, with the limit and the p-value of a confidence sequence.

    Args:
        pair: candidate and baseline; their drop has one value a unit.
        allowed: the largest drop that is no regression, in units of the score.
    """
    drops, ends = _of_units(pair.drop().arms[0]), pair.drop_range()
    if not drops.size:
        return Regression(pair.images, 0)
    scores = _mapped(drops, ends)
    mean = np.asarray(min(1.0, (allowed - ends.lower) / ends.width))
    return Regression(
        pairs=pair.images,
        units=pair.count,
        drop=float(drops.mean()),
        drop_upper_limit=ends.lower
        + ends.width * float(upper_limit(scores, SIGNIFICANCE, Horizon.OPEN)),
        p_value=float(p_values(scores, mean, _TAIL)),
    )


def _of_units(arm: Arm) -> Column:
    """One value a unit that has any: its score, or the mean of its images' scores."""
    values: Column = arm.numerators[arm.scored] / arm.denominators[arm.scored]
    return values


def _mapped(scores: Column, ends: Range) -> Column:
    """The scores in [0, 1], without what rounding adds to their range."""
    mapped: Column = np.clip((scores - ends.lower) / ends.width, 0.0, 1.0)
    return mapped
