"""From an evaluation and a policy to a verdict."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from heatproof.evaluators.evaluation.columns import Quantity
from heatproof.evaluators.evaluation.results import Summary
from heatproof.evaluators.gate.bounds import check_bound, reasons
from heatproof.evaluators.gate.changes import Counted, ScoreOfBoth, changes_of
from heatproof.evaluators.gate.disparities import check_disparity
from heatproof.evaluators.gate.pairing import (
    Pair,
    accuracy_pair,
    accuracy_quantity,
    accuracy_summary,
    both_accuracies,
    both_scores,
    counted_units,
    disparity_by,
    pair,
    require_comparable,
    result_quantity,
    summary_by,
)
from heatproof.evaluators.gate.policy import (
    Check,
    CheckKind,
    CheckOutcome,
    CheckResult,
    CleanAccuracy,
    Evaluated,
    Inconclusive,
    Policy,
    Regression,
    Rule,
    ScoreChange,
    Severity,
    Verdict,
    VerdictOutcome,
)
from heatproof.evaluators.gate.regressions import Comparison, judge_regressions
from heatproof.evaluators.gate.sequential import (
    require_valid,
    sequence_results,
    sequence_summaries,
    units_taken,
    why_at_the_end,
)
from heatproof.evaluators.gate.settings import setting_changes
from heatproof.evaluators.gate.soundness import (
    covers,
    is_bounded,
    is_compared,
    require_comparable_scores,
    require_sound,
    wanted,
)
from heatproof.evaluators.outcomes import OUTSIDE_OF_THE_SET, Direction
from heatproof.evaluators.queries.model_warnings import Doubt
from heatproof.evaluators.statistics.intervals import Intervals

NOWHERE = -1
"""Result index of a check that no result of the evaluation answers."""


@dataclass(frozen=True, slots=True)
class CheckedResult:
    """One result that one check covers, with the indices of both; nowhere for the accuracy."""

    number: int
    check: Rule
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
    require_sound(policy)
    require_comparable_scores(policy, candidate.spec)
    require_valid(policy, candidate)
    if baseline is not None:
        require_comparable(candidate, baseline)
    targets = list(_targets(policy, candidate))
    checks = _checks(targets, policy, candidate, baseline)
    verdict = _verdict(checks, _warnings(policy, candidate, checks))
    if policy.sequential:
        verdict = replace(verdict, sequential=units_taken(candidate, counted_units(candidate)))
    if baseline is None:
        return verdict
    return replace(
        verdict,
        changes=_changes(policy, targets, candidate, baseline),
        settings=setting_changes(policy, candidate, baseline),
        baseline=baseline.circumstances.label,
    )


def is_decided(policy: Policy, so_far: Evaluated, baseline: Evaluated | None) -> bool:
    """Whether further units could change no check of a sequential policy.

    A regression without a baseline is no check; one of which too few units have a score is open.

    Args:
        policy: the rules.
        so_far: what the evaluation has, whole units of sampling; its results are not read.
        baseline: what regressions are measured against; None skips them.
    """
    candidate = replace(so_far, results=sequence_results(so_far.spec, so_far.columns))
    checks = _checks(list(_targets(policy, candidate)), policy, candidate, baseline)
    held = [check for check in checks if check.outcome is not CheckOutcome.SKIPPED]
    settled = {CheckOutcome.PASS, CheckOutcome.FAIL}
    return bool(held) and all(check.sequential and check.outcome in settled for check in held)


def _checks(
    targets: Sequence[CheckedResult],
    policy: Policy,
    candidate: Evaluated,
    baseline: Evaluated | None,
) -> tuple[CheckResult, ...]:
    """The outcome of every check, in the order of the policy."""
    checks = (
        *_missing(policy, targets, candidate),
        *(_bound(t, policy, candidate) for t in targets if is_bounded(t.check)),
        *(_disparity(t, policy, candidate) for t in targets if t.check.max_disparity is not None),
        *_regressions(
            [t for t in targets if t.check.max_regression is not None], policy, candidate, baseline
        ),
    )
    return tuple(sorted(checks, key=lambda c: (c.check, c.result, c.kind)))


def _targets(policy: Policy, candidate: Evaluated) -> Iterator[CheckedResult]:
    if policy.clean_accuracy is not None:
        yield CheckedResult(NOWHERE, policy.clean_accuracy, NOWHERE)
    for number, check in enumerate(policy.checks):
        for index, result in enumerate(candidate.results):
            if result.models == (candidate.model,) and covers(check, result):
                yield CheckedResult(number, check, index)


def _missing(
    policy: Policy, targets: Sequence[CheckedResult], candidate: Evaluated
) -> Iterator[CheckResult]:
    for number, check in enumerate(policy.checks):
        answers = [candidate.results[t.result] for t in targets if t.number == number]
        answered = [(answer.removal, answer.explainer) for answer in answers]
        due = list(wanted(policy, check))
        if not answered and not due:
            yield _unanswered(number, check, "the evaluation has no such result")
        for removal, explainer in due:
            if (removal, explainer) not in answered:
                setting = ", ".join(thing.name for thing in (removal, explainer) if thing)
                missing = f"the evaluation has no result with {setting or 'this metric'}"
                yield _unanswered(number, check, missing)


def _unanswered(number: int, check: Check, message: str) -> CheckResult:
    kind = CheckKind.REGRESSION if check.max_regression is not None else CheckKind.DISPARITY
    if is_bounded(check):
        kind = CheckKind.BOUND
    target = CheckedResult(number, check, NOWHERE)
    return _result(target, kind, CheckOutcome.NOT_EVALUATED, f"{check.metric.name}: {message}")


def _bound(target: CheckedResult, policy: Policy, candidate: Evaluated) -> CheckResult:
    shortage = _shortage(target, candidate)
    if shortage:
        return _result(target, CheckKind.BOUND, CheckOutcome.NOT_EVALUATED, shortage)
    sequential = _is_sequential(target, CheckKind.BOUND, policy, candidate)
    if sequential:
        summary = sequence_summaries([_quantity(target, candidate)], counted_units(candidate))[0]
    else:
        summary = _summary(target, candidate, policy.interval)
    outcome, message = check_bound(
        target.check, summary, tolerance=policy.abs_tolerance, sequential=sequential
    )
    checked = _result(target, CheckKind.BOUND, outcome, message)
    return replace(checked, interval=summary.interval, sequential=sequential)


def _is_sequential(
    target: CheckedResult, kind: CheckKind, policy: Policy, candidate: Evaluated
) -> bool:
    """Whether a confidence sequence decides a check, and no rule for a fixed number of units."""
    if not policy.sequential:
        return False
    direction = Direction.HIGHER_IS_BETTER
    if target.result != NOWHERE:
        direction = candidate.results[target.result].direction
    reduction = _quantity(target, candidate).reduction
    return not why_at_the_end(target.check, kind, reduction, direction)


def _quantity(target: CheckedResult, candidate: Evaluated) -> Quantity:
    """What a target bounds, over the images that count."""
    if isinstance(target.check, CleanAccuracy):
        return accuracy_quantity(candidate)
    return result_quantity(candidate.results[target.result], candidate)


def _disparity(target: CheckedResult, policy: Policy, candidate: Evaluated) -> CheckResult:
    shortage = _shortage(target, candidate)
    if shortage:
        return _result(target, CheckKind.DISPARITY, CheckOutcome.NOT_EVALUATED, shortage)
    result = candidate.results[target.result]
    is_made = policy.interval is Intervals.STANDARD
    disparity = result.disparity if is_made else disparity_by(policy.interval, result, candidate)
    outcome, message = check_disparity(target.check, disparity, tolerance=policy.abs_tolerance)
    checked = _result(target, CheckKind.DISPARITY, outcome, message)
    return replace(checked, interval=None if disparity is None else disparity.interval)


def _summary(target: CheckedResult, candidate: Evaluated, kind: Intervals) -> Summary:
    """What a target bounds, with intervals of a kind."""
    if isinstance(target.check, CleanAccuracy):
        return accuracy_summary(kind, candidate)
    result = candidate.results[target.result]
    return result.summary if kind is Intervals.STANDARD else summary_by(kind, result, candidate)


def _pair(target: CheckedResult, policy: Policy, candidate: Evaluated, baseline: Evaluated) -> Pair:
    if isinstance(target.check, CleanAccuracy):
        return accuracy_pair(candidate, baseline)
    result = candidate.results[target.result]
    return pair(result, candidate, baseline, tolerance=policy.abs_tolerance)


def _shortage(target: CheckedResult, candidate: Evaluated) -> str:
    """Says that too few images have a score; "" if enough have."""
    summary = _summary(target, candidate, Intervals.STANDARD)
    total = len(set(candidate.columns.images.digests))
    if not isinstance(target.check, CleanAccuracy):
        total -= sum(summary.undefined.get(reason, 0) for reason in OUTSIDE_OF_THE_SET)
    if total and summary.scored / total >= target.check.min_scored:
        return ""
    needed = f"at least {target.check.min_scored:.0%} are needed"
    if isinstance(target.check, CleanAccuracy):
        return f"{summary.scored} of {total} images have a label and an answer; {needed}"
    return f"{summary.scored} of {total} images have a score ({reasons(summary)}); {needed}"


def _regressions(
    targets: Sequence[CheckedResult],
    policy: Policy,
    candidate: Evaluated,
    baseline: Evaluated | None,
) -> Iterator[CheckResult]:
    if baseline is None:
        for target in targets:
            yield _result(target, CheckKind.REGRESSION, CheckOutcome.SKIPPED, "no baseline given")
        return
    judged: list[CheckedResult] = []
    for target in targets:
        shortage = _shortage(target, candidate)
        if shortage:
            yield _result(target, CheckKind.REGRESSION, CheckOutcome.NOT_EVALUATED, shortage)
        else:
            judged.append(target)
    comparisons = [
        Comparison(
            target.check,
            _pair(target, policy, candidate, baseline),
            _is_sequential(target, CheckKind.REGRESSION, policy, candidate),
        )
        for target in judged
    ]
    tests = sum(target.check.severity is Severity.FAIL for target in targets)
    verdicts = judge_regressions(comparisons, tests=tests, seed=policy.seed, kind=policy.interval)
    for target, compared, found in zip(judged, comparisons, verdicts, strict=True):
        told = _result(target, CheckKind.REGRESSION, found.outcome, found.message, found.regression)
        yield replace(told, sequential=compared.sequential)


def _changes(
    policy: Policy, targets: Sequence[CheckedResult], candidate: Evaluated, baseline: Evaluated
) -> tuple[ScoreChange, ...]:
    """The change of each score that a check covers and two models can be compared by."""
    covered = sorted({target.result for target in targets} - {NOWHERE})
    if any(label is not None for label in candidate.columns.images.labels):
        covered.insert(0, NOWHERE)
    scores = [
        found for index in covered if (found := _of_both(index, candidate, baseline)) is not None
    ]
    units = counted_units(candidate)
    return changes_of(
        scores,
        Counted(candidate.columns.images.taken(units.images), units),
        (candidate.model, baseline.model),
        tolerance=policy.abs_tolerance,
        seed=policy.seed,
    )


def _of_both(index: int, candidate: Evaluated, baseline: Evaluated) -> ScoreOfBoth | None:
    if index == NOWHERE:
        found = both_accuracies(candidate, baseline)
        return ScoreOfBoth(index, *found, Direction.HIGHER_IS_BETTER)
    result = candidate.results[index]
    if not is_compared(result.metric):
        return None
    return ScoreOfBoth(index, *both_scores(result, candidate, baseline), result.direction)


def _result(
    target: CheckedResult,
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


def _is_blocking(check: Rule, outcome: CheckOutcome) -> bool:
    if check.severity is not Severity.FAIL:
        return False
    if outcome is CheckOutcome.INCONCLUSIVE:
        return check.inconclusive is Inconclusive.FAIL
    return outcome in {CheckOutcome.FAIL, CheckOutcome.NOT_EVALUATED}


def _warnings(
    policy: Policy, candidate: Evaluated, checks: Sequence[CheckResult]
) -> tuple[str, ...]:
    mine = (held for held in candidate.warnings if held.model == candidate.model)
    warnings = [f"{h.reason}: {h.text}" for h in mine if h.reason is not Doubt.MODEL_FORM]
    units = counted_units(candidate)
    if units.count < policy.min_images:
        unit = "group" if units.grouped else "image"
        warnings.append(
            f"only {units.count} {unit}(s): intervals are wide; "
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
