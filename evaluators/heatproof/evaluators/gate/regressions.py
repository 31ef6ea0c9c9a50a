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
from heatproof.evaluators.statistics.permutation import holm, paired_p_value, smallest_p_value
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


def judge_regressions(comparisons: Sequence[Comparison], *, seed: int) -> tuple[Judged, ...]:
    """Judges all regression checks of a policy together, for Holm's correction needs them all."""
    binding = sum(c.check.severity is Severity.FAIL for c in comparisons)
    blocked = [_obstacle(c, binding) for c in comparisons]
    regressions = [
        Regression(pairs=c.pair.candidate.count) if why else _regression(c.pair, seed=seed)
        for c, why in zip(comparisons, blocked, strict=True)
    ]
    adjusted = _adjust(comparisons, regressions)
    return tuple(
        Judged(CheckOutcome.INCONCLUSIVE, regression, why) if why else _judged(c.check, regression)
        for c, regression, why in zip(comparisons, adjusted, blocked, strict=True)
    )


def _obstacle(comparison: Comparison, binding: int) -> str:
    """Says why the data cannot decide; "" if they can."""
    pairs = comparison.pair.candidate.count
    if comparison.pair.lost > MAX_LOST:
        lost = f"{comparison.pair.lost:.1%} of the images are scored in one arm only"
        return f"{lost}; at most {MAX_LOST:.0%} may be"
    if pairs < MIN_IMAGES:
        return f"{pairs} paired images; at least {MIN_IMAGES} are needed"
    if smallest_p_value(pairs) > SIGNIFICANCE / max(1, binding):
        return f"{pairs} paired images cannot reach p <= 0.05 over {binding} checks"
    return ""


def _regression(pair: Pair, *, seed: int) -> Regression:
    contrast = Contrast((pair.candidate, pair.baseline))
    drop = contrast.estimate()
    if not np.isfinite(drop):
        return Regression(pairs=contrast.count)
    if _is_unchanged(pair):
        return Regression(contrast.count, drop=0.0, drop_lower_limit=0.0, p_value=1.0)
    distribution = bootstrap_t([contrast], seed=seed)[0]
    limit = distribution.limit(SIGNIFICANCE) if distribution else None
    return Regression(contrast.count, drop, limit, _p_value(pair, seed=seed))


def _p_value(pair: Pair, *, seed: int) -> float:
    if pair.is_proportion:
        worse, better = pair.candidate.numerators, pair.baseline.numerators
        low = min(worse.min(), better.min())
        # Turned so that higher is worse: the candidate loses where it is above the lower value.
        return mcnemar_p_value(candidate=worse == low, baseline=better == low)
    return paired_p_value(pair.candidate, pair.baseline, seed=seed)


def _is_unchanged(pair: Pair) -> bool:
    return bool(
        np.array_equal(pair.candidate.numerators, pair.baseline.numerators)
        and np.array_equal(pair.candidate.denominators, pair.baseline.denominators)
    )


def _adjust(
    comparisons: Sequence[Comparison], regressions: Sequence[Regression]
) -> list[Regression]:
    binding = [
        index
        for index, (c, r) in enumerate(zip(comparisons, regressions, strict=True))
        if c.check.severity is Severity.FAIL and r.p_value is not None
    ]
    p_values = [regressions[index].p_value or 0.0 for index in binding]
    adjusted = dict(zip(binding, holm(p_values), strict=True))
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
