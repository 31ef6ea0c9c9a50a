"""Checks of a score against `min` and `max`."""

from typing import Final

from heatproof.evaluators.evaluation.results import Summary
from heatproof.evaluators.gate.policy import CheckOutcome, On, Rule
from heatproof.evaluators.statistics.bootstrap import MIN_UNITS


def check_bound(
    check: Rule, summary: Summary, *, tolerance: float, sequential: bool = False
) -> tuple[CheckOutcome, str]:
    """Holds a score against the bounds of a check.

    On the interval: pass if all of it satisfies the bounds, fail if all of it violates one, else
    inconclusive. On the mean: pass or fail. A confidence sequence that is `sequential` has no end
    where no mean is left.

    Returns:
        The outcome and the comparison in one sentence.
    """
    if summary.value is None:
        return CheckOutcome.NOT_EVALUATED, f"no score: {reasons(summary)}"
    if check.on is On.MEAN:
        outcome = _outcome(check, summary.value, summary.value, tolerance)
        return outcome, f"{summary.value:.4f} {_verb(outcome)} {_bounds(check)}"
    if summary.interval is None:
        why = _NO_MEAN if sequential else _no_interval(summary)
        return CheckOutcome.INCONCLUSIVE, f"{summary.value:.4f} against {_bounds(check)}: {why}"
    lower, upper = summary.interval.lower, summary.interval.upper
    outcome = _outcome(check, lower, upper, tolerance)
    interval = f"{summary.value:.4f} [{lower:.4f}, {upper:.4f}]"
    return outcome, f"{interval} {_verb(outcome)} {_bounds(check)}"


def reasons(summary: Summary) -> str:
    """Says why images have no score."""
    counted = [f"{count} x {reason}" for reason, count in summary.undefined.items()]
    return ", ".join(counted) or "no image was scored"


_NO_MEAN: Final = "the scores rule out every mean, as at most 5 % of samples do"


def _no_interval(summary: Summary) -> str:
    if summary.units < MIN_UNITS:
        return (
            f"no interval from {summary.units} units of sampling; at least {MIN_UNITS} are needed"
        )
    if summary.standard_error is None:
        return 'no interval, for it is a score of the set as a whole; bound it with on = "mean"'
    return "no interval, for nearly all scores are equal"


def _outcome(check: Rule, lower: float, upper: float, tolerance: float) -> CheckOutcome:
    least = float("-inf") if check.min is None else check.min - tolerance
    most = float("inf") if check.max is None else check.max + tolerance
    if least <= lower and upper <= most:
        return CheckOutcome.PASS
    if upper < least or lower > most:
        return CheckOutcome.FAIL
    return CheckOutcome.INCONCLUSIVE


def _verb(outcome: CheckOutcome) -> str:
    verbs = {CheckOutcome.PASS: "satisfies", CheckOutcome.FAIL: "violates"}
    return verbs.get(outcome, "straddles")


def _bounds(check: Rule) -> str:
    bounds = [f"min {check.min:g}"] if check.min is not None else []
    bounds += [f"max {check.max:g}"] if check.max is not None else []
    return " and ".join(bounds)
