"""Checks that a score is not worse than a baseline's on the same images, by more than is allowed.

A test of non-inferiority on the drop of each unit. A check passes only if the one-sided 95 % upper
limit of the mean drop is within what is allowed. It fails if the one-sided sign-flip test of
`mean drop <= allowed`, Holm-adjusted over all regression checks of severity `fail`, has p <= 0.05.
In between it is inconclusive: not shown worse is not the same as shown not worse. Where an
evaluation may stop in between, limit and p-value are those of a confidence sequence.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Final

import numpy as np

from heatproof.evaluators.gate.drops import upper_limits
from heatproof.evaluators.gate.pairing import Pair
from heatproof.evaluators.gate.policy import CheckOutcome, Regression, Rule, Severity
from heatproof.evaluators.gate.sequential import sequence_regression
from heatproof.evaluators.statistics.bootstrap import MIN_UNITS
from heatproof.evaluators.statistics.intervals import Intervals
from heatproof.evaluators.statistics.permutation import (
    SIGNIFICANCE,
    holm,
    sign_flip_p_values,
    smallest_p_value,
)
from heatproof.evaluators.statistics.proportions import mcnemar_p_value

_EXAMPLE_DROP: Final = 0.05
"""What is spoken of where no drop at all is allowed."""

MAX_LOST: Final = 0.05
"""Larger shares of images lost in one arm leave a check inconclusive."""


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """A regression check, what it compares, and whether a confidence sequence decides it."""

    check: Rule
    pair: Pair
    sequential: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """The outcome of a regression check, its numbers, and the comparison in one sentence."""

    outcome: CheckOutcome
    regression: Regression
    message: str


def judge_regressions(
    comparisons: Sequence[Comparison],
    *,
    tests: int,
    seed: int,
    kind: Intervals = Intervals.STANDARD,
) -> tuple[Judged, ...]:
    """Judges all regression checks of a policy together, for Holm's correction needs them all.

    Args:
        comparisons: over the same units in the same order.
        tests: regression checks of severity `fail`, those that cannot be compared included.
        seed: of the resamples.
        kind: which upper limits bounded means and proportions get.
    """
    blocked = [_obstacle(c, tests) for c in comparisons]
    open_ones = [c for c, why in zip(comparisons, blocked, strict=True) if not why]
    found = iter(_compare(open_ones, seed=seed, kind=kind))
    regressions = [
        Regression(c.pair.images, c.pair.count) if why else next(found)
        for c, why in zip(comparisons, blocked, strict=True)
    ]
    adjusted = _adjust(comparisons, regressions, tests)
    return tuple(
        Judged(CheckOutcome.INCONCLUSIVE, regression, why) if why else _judged(c, regression)
        for c, regression, why in zip(comparisons, adjusted, blocked, strict=True)
    )


def _obstacle(comparison: Comparison, tests: int) -> str:
    """Says why the data cannot decide; "" if they can."""
    units = comparison.pair.count
    if comparison.pair.lost > MAX_LOST:
        lost = f"{comparison.pair.lost:.1%} of the images are scored in one arm only"
        return f"{lost}; at most {MAX_LOST:.0%} may be"
    if comparison.sequential:  # whose limits hold for any number of units
        return ""
    name = "paired groups" if comparison.pair.grouped else "paired images"
    if units < MIN_UNITS:
        return f"{units} {name}; at least {MIN_UNITS} are needed"
    if smallest_p_value(units) > SIGNIFICANCE / max(1, tests):
        return f"{units} {name} cannot reach p <= {SIGNIFICANCE} over {tests} checks"
    return ""


def _compare(comparisons: Sequence[Comparison], *, seed: int, kind: Intervals) -> list[Regression]:
    """Compares all pairs: by their sequences, the others on the same resamples."""
    fixed = [comparison for comparison in comparisons if not comparison.sequential]
    pairs = [comparison.pair for comparison in fixed]
    limits = upper_limits(pairs, seed=seed, tail=SIGNIFICANCE, kind=kind)
    p_values = _p_values(fixed, seed=seed)
    found = iter([_regression(*numbers) for numbers in zip(pairs, limits, p_values, strict=True)])
    return [
        sequence_regression(c.pair, c.check.max_regression or 0.0) if c.sequential else next(found)
        for c in comparisons
    ]


def _regression(pair: Pair, limit: float | None, p_value: float) -> Regression:
    estimate = pair.drop().estimate()
    if not np.isfinite(estimate):
        return Regression(pair.images, pair.count)
    if pair.is_unchanged():
        return Regression(pair.images, pair.count, 0.0, 0.0, 1.0)
    return Regression(pair.images, pair.count, estimate, limit, p_value)


def _p_values(comparisons: Sequence[Comparison], *, seed: int) -> list[float]:
    """The sign-flip test; of a proportion that may not drop at all it is McNemar's, exactly."""
    exact = {
        place: mcnemar_p_value(*comparison.pair.successes())
        for place, comparison in enumerate(comparisons)
        if _is_mcnemar(comparison)
    }
    flipped = [c for place, c in enumerate(comparisons) if place not in exact]
    found = iter(
        sign_flip_p_values(
            [comparison.pair.drop() for comparison in flipped],
            [comparison.check.max_regression or 0.0 for comparison in flipped],
            seed=seed,
        )
    )
    return [exact[place] if place in exact else next(found) for place in range(len(comparisons))]


def _is_mcnemar(comparison: Comparison) -> bool:
    pair = comparison.pair
    return pair.reduction.is_proportion and not pair.grouped and not comparison.check.max_regression


def _adjust(
    comparisons: Sequence[Comparison], regressions: Sequence[Regression], tests: int
) -> list[Regression]:
    binding = [
        index
        for index, (c, r) in enumerate(zip(comparisons, regressions, strict=True))
        if c.check.severity is Severity.FAIL and r.p_value is not None
    ]
    p_values = [regressions[index].p_value or 0.0 for index in binding]
    adjusted = dict(zip(binding, holm(p_values, tests=tests), strict=True))
    return [
        replace(regression, adjusted_p_value=adjusted.get(index, regression.p_value))
        for index, regression in enumerate(regressions)
    ]


def _judged(comparison: Comparison, regression: Regression) -> Judged:
    allowed = comparison.check.max_regression or 0.0
    drop, limit = regression.drop, regression.drop_upper_limit
    p_value = regression.adjusted_p_value
    if drop is None or p_value is None:
        return Judged(CheckOutcome.INCONCLUSIVE, regression, "the scores give no drop")
    most = "no upper limit" if limit is None else f"at most {limit:.4f} (95 %)"
    numbers = f"drop {drop:.4f}, {most}, p {p_value:.4f}; allowed {allowed:g}"
    if p_value <= SIGNIFICANCE:
        return Judged(CheckOutcome.FAIL, regression, f"worse: {numbers}")
    if limit is not None and limit <= allowed:
        is_lucky = comparison.pair.is_unchanged() and not comparison.sequential
        unseen = _unseen(comparison.pair, allowed) if is_lucky else ""
        return Judged(CheckOutcome.PASS, regression, f"not worse: {numbers}{unseen}")
    message = f"neither shown worse nor shown not worse: {numbers}"
    return Judged(CheckOutcome.INCONCLUSIVE, regression, message)


def _unseen(pair: Pair, allowed: float) -> str:
    """How often a real drop shows in no unit, where that is too often; "" elsewhere.

    A score with an atom, or of 0 and 1, may drop by its whole range in a share q of the units and
    not at all in the others: (1 - q)^n.
    """
    widest = pair.drop_range().upper
    drop = allowed or _EXAMPLE_DROP
    if not pair.reduction.atoms or not drop < widest < np.inf:
        return ""
    seen = np.log1p(-drop / widest)
    needed = ceil(np.log(SIGNIFICANCE) / seen)
    if pair.count >= needed:
        return ""
    unit = "groups" if pair.grouped else "images"
    return (
        f"; no score differs, as in up to {np.exp(seen * pair.count):.0%} of samples of "
        f"{pair.count} {unit} where the true drop is {drop:g}: {needed} {unit} bring that to "
        f"{SIGNIFICANCE:.0%}"
    )
