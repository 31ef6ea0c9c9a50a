"""Checks that no group of images is explained much worse than another."""

from heatproof.evaluators.evaluation.results import Disparity
from heatproof.evaluators.gate.policy import CheckOutcome, On, Rule
from heatproof.evaluators.statistics.bootstrap import MIN_UNITS
from heatproof.evaluators.statistics.groups.disparity import MAX_GROUPS


def check_disparity(
    check: Rule, disparity: Disparity | None, *, tolerance: float
) -> tuple[CheckOutcome, str]:
    """Holds the worst group against the best, as `max` is held against a score.

    Returns:
        The outcome and the comparison in one sentence.
    """
    if disparity is None or disparity.value is None:
        return CheckOutcome.NOT_EVALUATED, _incomparable(disparity)
    allowed = check.max_disparity or 0.0
    value, names = disparity.value, _names(disparity)
    if check.on is On.MEAN:
        outcome = _outcome(allowed + tolerance, value, value)
        return outcome, f"disparity {value:.4f}, allowed {allowed:g}: {names}"
    if disparity.interval is None:
        why = "no interval, for nearly all scores of a group are equal"
        return CheckOutcome.INCONCLUSIVE, f"disparity {value:.4f}, allowed {allowed:g}: {why}"
    lower, upper = disparity.interval.lower, disparity.interval.upper
    outcome = _outcome(allowed + tolerance, lower, upper)
    interval = f"{value:.4f} [{lower:.4f}, {upper:.4f}]"
    return outcome, f"disparity {interval}, allowed {allowed:g}: {names}"


def _outcome(most: float, lower: float, upper: float) -> CheckOutcome:
    if upper <= most:
        return CheckOutcome.PASS
    return CheckOutcome.FAIL if lower > most else CheckOutcome.INCONCLUSIVE


def _names(disparity: Disparity) -> str:
    told = [
        f"{word} {held.group!r} {held.summary.value:.4f}"
        for word, held in (("worst", disparity.worst), ("best", disparity.best))
        if held is not None
    ]
    return ", ".join(told)


def _incomparable(disparity: Disparity | None) -> str:
    if disparity is None:
        return "images have no groups: give the labels (--labels) a column group"
    if disparity.groups > MAX_GROUPS:
        return f"{disparity.groups} groups, of which at most {MAX_GROUPS} can be compared"
    total = disparity.groups + disparity.small_groups
    return (
        f"{disparity.groups} of {total} groups have at least {MIN_UNITS} images with a score; "
        "2 are needed"
    )
