"""From an evaluation and a policy to a verdict."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.gate.bounds import check_bound, reasons
from heatproof.evaluators.gate.pairing import pair, require_comparable
from heatproof.evaluators.gate.policy import (
    Check,
    CheckKind,
    CheckOutcome,
    CheckResult,
    Evaluated,
    Inconclusive,
    Policy,
    Regression,
    Severity,
    Verdict,
    VerdictOutcome,
)
from heatproof.evaluators.gate.regressions import Comparison, judge_regressions

NOWHERE = -1
"""Result index of a check that no result of the evaluation answers."""


@dataclass(frozen=True, slots=True)
class Target:
    """One result that one check covers, with the indices of both."""

    number: int
    check: Check
    result: int


def judge(policy: Policy, candidate: Evaluated, baseline: Evaluated | None) -> Verdict:
    """Judges a candidate.

    Args:
        policy: the rules.
        candidate: the evaluation of the model that is judged.
        baseline: what regressions are measured against; None skips them.

    Raises:
        InvalidArgumentError: a check bounds nothing, or a number is out of range.
        FailedPreconditionError: the baseline was evaluated differently; lists the fields.
    """
    for number, check in enumerate(policy.checks):
        _require_sound(check, number)
    if baseline is not None:
        require_comparable(candidate, baseline)
    targets = list(_targets(policy, candidate))
    checks = (
        *_missing(policy, targets),
        *(_bound(t, policy, candidate) for t in targets if _is_bounded(t.check)),
        *_regressions(
            [t for t in targets if t.check.max_regression is not None], policy, candidate, baseline
        ),
    )
    ordered = tuple(sorted(checks, key=lambda c: (c.check, c.result, c.kind)))
    return _verdict(ordered, _warnings(policy, candidate, ordered))


def _require_sound(check: Check, number: int) -> None:
    place = f"checks[{number}]"
    if not _is_bounded(check) and check.max_regression is None:
        raise InvalidArgumentError(
            f"{place} bounds nothing: set min, max or max_regression", field=place
        )
    if check.min is not None and check.max is not None and check.min > check.max:
        raise InvalidArgumentError(
            f"{place}: min {check.min:g} is above max {check.max:g}", field=f"{place}.min"
        )
    if check.max_regression is not None and not check.max_regression >= 0:
        raise InvalidArgumentError(
            f"{place}.max_regression must be at least 0, not {check.max_regression:g}",
            field=f"{place}.max_regression",
        )
    if not 0 <= check.min_scored <= 1:
        raise InvalidArgumentError(
            f"{place}.min_scored must lie in [0, 1], not {check.min_scored:g}",
            field=f"{place}.min_scored",
        )


def _is_bounded(check: Check) -> bool:
    return check.min is not None or check.max is not None


def _targets(policy: Policy, candidate: Evaluated) -> Iterator[Target]:
    for number, check in enumerate(policy.checks):
        for index, result in enumerate(candidate.results):
            if (
                result.model == candidate.model
                and result.metric == check.metric
                and check.explainer in {None, result.explainer}
                and check.removal in {None, result.removal}
            ):
                yield Target(number, check, index)


def _missing(policy: Policy, targets: Sequence[Target]) -> Iterator[CheckResult]:
    answered = {target.number for target in targets}
    for number, check in enumerate(policy.checks):
        if number not in answered:
            target = Target(number, check, NOWHERE)
            message = "the evaluation has no result of this metric, removal operator and explainer"
            yield _result(target, CheckKind.BOUND, CheckOutcome.NOT_EVALUATED, message)


def _bound(target: Target, policy: Policy, candidate: Evaluated) -> CheckResult:
    shortage = _shortage(target, candidate)
    if shortage:
        return _result(target, CheckKind.BOUND, CheckOutcome.NOT_EVALUATED, shortage)
    result = candidate.results[target.result]
    outcome, message = check_bound(target.check, result, tolerance=policy.abs_tolerance)
    return _result(target, CheckKind.BOUND, outcome, message)


def _shortage(target: Target, candidate: Evaluated) -> str:
    """Says that too few images have a score; "" if enough have."""
    summary = candidate.results[target.result].summary
    total = len(candidate.images)
    if total and summary.scored / total >= target.check.min_scored:
        return ""
    needed = f"at least {target.check.min_scored:.0%} are needed"
    return f"{summary.scored} of {total} images have a score ({reasons(summary)}); {needed}"


def _regressions(
    targets: Sequence[Target], policy: Policy, candidate: Evaluated, baseline: Evaluated | None
) -> Iterator[CheckResult]:
    if baseline is None:
        for target in targets:
            yield _result(target, CheckKind.REGRESSION, CheckOutcome.SKIPPED, "no baseline given")
        return
    short = {target: _shortage(target, candidate) for target in targets}
    judged = [target for target in targets if not short[target]]
    comparisons = [
        Comparison(
            target.check,
            pair(
                candidate.results[target.result],
                candidate,
                baseline,
                tolerance=policy.abs_tolerance,
            ),
        )
        for target in judged
    ]
    for target in targets:
        if short[target]:
            yield _result(target, CheckKind.REGRESSION, CheckOutcome.NOT_EVALUATED, short[target])
    for target, found in zip(judged, judge_regressions(comparisons, seed=policy.seed), strict=True):
        yield _result(target, CheckKind.REGRESSION, found.outcome, found.message, found.regression)


def _result(
    target: Target,
    kind: CheckKind,
    outcome: CheckOutcome,
    message: str,
    regression: Regression | None = None,
) -> CheckResult:
    return CheckResult(
        check=target.number,
        result=target.result,
        kind=kind,
        outcome=outcome,
        severity=target.check.severity,
        message=message,
        regression=regression,
        blocking=_is_blocking(target.check, outcome),
    )


def _is_blocking(check: Check, outcome: CheckOutcome) -> bool:
    if check.severity is not Severity.FAIL:
        return False
    if outcome is CheckOutcome.INCONCLUSIVE:
        return check.inconclusive is Inconclusive.FAIL
    return outcome in {CheckOutcome.FAIL, CheckOutcome.NOT_EVALUATED}


def _warnings(
    policy: Policy, candidate: Evaluated, checks: Sequence[CheckResult]
) -> tuple[str, ...]:
    warnings = []
    if len(candidate.images) < policy.min_images:
        warnings.append(
            f"{len(candidate.images)} images are few: intervals are wide; "
            f"the policy asks for {policy.min_images}"
        )
    if all(check.outcome is CheckOutcome.SKIPPED for check in checks):
        warnings.append("every check was skipped: give a baseline, or bound a score")
    return tuple(warnings)


def _verdict(checks: tuple[CheckResult, ...], warnings: tuple[str, ...]) -> Verdict:
    settled = {CheckOutcome.PASS, CheckOutcome.SKIPPED}
    if any(check.blocking for check in checks):
        outcome = VerdictOutcome.FAIL
    elif warnings or any(check.outcome not in settled for check in checks):
        outcome = VerdictOutcome.WARN
    else:
        outcome = VerdictOutcome.PASS
    return Verdict(outcome, checks, warnings)
