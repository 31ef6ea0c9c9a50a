"""Checks of a score against a baseline's on the same images.

A check fails only if (a) the paired permutation test of no change, one-sided and Holm-adjusted
over all regression checks of severity `fail`, has p <= 0.05, and (b) the lower one-sided 95 %
bootstrap-t limit of the drop exceeds the regression that the check allows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from heatproof.evaluators.gate.pairing import Pair
from heatproof.evaluators.gate.policy import Check, CheckOutcome, Regression, Severity
from heatproof.evaluators.statistics.arms import Contrast
from heatproof.evaluators.statistics.bootstrap import MIN_IMAGES, bootstrap_t
from heatproof.evaluators.statistics.permutation import holm, paired_p_values, smallest_p_value
from heatproof.evaluators.statistics.proportions import mcnemar_p_value

SIGNIFICANCE: Final = 0.05
MAX_LOST: Final = 0.05
"""Larger shares of images lost in one arm leave a check inconclusive."""


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """A regression check and what it compares."""

    check: Check
    pair: Pair


@dataclass(frozen=True, slots=True)
class Judged:
    """The outcome of a regression check, its numbers, and the comparison in one sentence."""

    outcome: CheckOutcome
    regression: Regression
    message: str


def judge_regressions(
    comparisons: Sequence[Comparison], *, tests: int, seed: int
) -> tuple[Judged, ...]:
    """Judges all regression checks of a policy together, for Holm's correction needs them all.

    Args:
        comparisons: over the same images in the same order.
        tests: regression checks of severity `fail`, those that cannot be compared included.
        seed: of the resamples.
    """
    blocked = [_obstacle(c, tests) for c in comparisons]
    open_pairs = [c.pair for c, why in zip(comparisons, blocked, strict=True) if not why]
    found = iter(_compare(open_pairs, seed=seed))
    regressions = [
        Regression(pairs=c.pair.count) if why else next(found)
        for c, why in zip(comparisons, blocked, strict=True)
    ]
    adjusted = _adjust(comparisons, regressions, tests)
    return tuple(
        Judged(CheckOutcome.INCONCLUSIVE, regression, why) if why else _judged(c.check, regression)
        for c, regression, why in zip(comparisons, adjusted, blocked, strict=True)
    )


def _obstacle(comparison: Comparison, tests: int) -> str:
    """Says why the data cannot decide; "" if they can."""
    pairs = comparison.pair.count
    if comparison.pair.lost > MAX_LOST:
        lost = f"{comparison.pair.lost:.1%} of the images are scored in one arm only"
        return f"{lost}; at most {MAX_LOST:.0%} may be"
    if pairs < MIN_IMAGES:
        return f"{pairs} paired images; at least {MIN_IMAGES} are needed"
    if smallest_p_value(pairs) > SIGNIFICANCE / max(1, tests):
        return f"{pairs} paired images cannot reach p <= {SIGNIFICANCE} over {tests} checks"
    return ""


def _compare(pairs: Sequence[Pair], *, seed: int) -> list[Regression]:
    """Compares all pairs on the same resamples."""
    drops = [pair.drop() for pair in pairs]
    limits = [
        distribution.limit(SIGNIFICANCE) if distribution else None
        for distribution in bootstrap_t(drops, seed=seed)
    ]
    p_values = _p_values(pairs, seed=seed)
    return [_regression(*numbers) for numbers in zip(pairs, drops, limits, p_values, strict=True)]


def _regression(pair: Pair, drop: Contrast, limit: float | None, p_value: float) -> Regression:
    estimate = drop.estimate()
    if not np.isfinite(estimate):
        return Regression(pairs=pair.count)
    if pair.is_unchanged():
        return Regression(pair.count, drop=0.0, drop_lower_limit=0.0, p_value=1.0)
    return Regression(pair.count, estimate, limit, p_value)


def _p_values(pairs: Sequence[Pair], *, seed: int) -> list[float]:
    """Exact McNemar for proportions, the permutation test for the rest."""
    trials = [pair.trial() for pair in pairs if not pair.is_proportion]
    permuted = iter(paired_p_values(trials, seed=seed))
    return [
        mcnemar_p_value(*pair.successes()) if pair.is_proportion else next(permuted)
        for pair in pairs
    ]


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


def _judged(check: Check, regression: Regression) -> Judged:
    allowed = check.max_regression or 0.0
    drop, limit, p_value = (
        regression.drop,
        regression.drop_lower_limit,
        regression.adjusted_p_value,
    )
    if drop is None or limit is None or p_value is None:
        return Judged(CheckOutcome.INCONCLUSIVE, regression, "the drop has no finite limit")
    failed = p_value <= SIGNIFICANCE and limit > allowed
    outcome = CheckOutcome.FAIL if failed else CheckOutcome.PASS
    numbers = f"drop {drop:.4f}, at least {limit:.4f} (95 %), p {p_value:.4f}"
    return Judged(outcome, regression, f"{numbers}; allowed {allowed:g}")
