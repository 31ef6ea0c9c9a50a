"""Checks of a gate, beside the scores that they were held against."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

from heatproof.client.documents.messages import short_name
from heatproof.client.documents.results import GateReport
from heatproof.client.report.changes import ChangeRow, SettingRow, change_rows, setting_rows
from heatproof.client.report.content import Content
from heatproof.client.report.facts import accuracy_name, image_count
from heatproof.client.report.numbers import ABSENT, ARROWS, ends, estimate, interval, number
from heatproof.client.report.rows import ResultRow
from heatproof.v1.gate_pb2 import Check, CheckResult, CleanAccuracy, Verdict
from heatproof.v1.results_pb2 import Direction, Sampling, Summary

VERDICTS: Final = {
    Verdict.OUTCOME_PASS: "PASS",
    Verdict.OUTCOME_WARN: "PASS WITH WARNINGS",
    Verdict.OUTCOME_FAIL: "FAIL",
}


@dataclass(frozen=True, slots=True)
class CheckRow:
    """A check with the score it was held against.

    Attributes:
        result: the score; None for a check that has none.
        outcome: `pass`, `fail`, `inconclusive`, `not evaluated` or `skipped`.
        bound: what was demanded.
        severity: `fail` or `warn`.
        blocking: whether it fails the model.
        message: the whole comparison in one sentence.
        kind: what it compares: `bound`, `regression` or `disparity`.
        interval: the interval that it was held against, or a dash.
    """

    result: ResultRow | None
    outcome: str
    bound: str
    severity: str
    blocking: bool
    message: str
    kind: str
    interval: str

    @property
    def subject(self) -> str:
        """What was checked, in one line."""
        return self.result.subject if self.result else "no result"

    @property
    def tone(self) -> str:
        """`good`, `bad`, `warning` or `quiet`."""
        if self.blocking:
            return "bad"
        return {"pass": "good", "skipped": "quiet"}.get(self.outcome, "warning")


@dataclass(frozen=True, slots=True)
class Judgement:
    """A gate's verdict as text: made once of the messages, then only rendered.

    Attributes:
        report: the messages.
        model: name of the candidate.
        line: the verdict in words.
        tally: how many checks had which outcome, and what a sequential gate took for that.
        checks: the checks, in the order of the verdict.
        changes: what changed against the baseline; empty without one.
        settings: what else differs from it, likewise.
        baseline: what the candidate was held against; empty without one.
        sequential: how many units a sequential gate took, and what they decide; else empty.
    """

    report: GateReport
    model: str
    line: str
    tally: str
    checks: tuple[CheckRow, ...]
    changes: tuple[ChangeRow, ...]
    settings: tuple[SettingRow, ...] = ()
    baseline: str = ""
    sequential: str = ""

    @classmethod
    def of(cls, report: GateReport, content: Content) -> Self:
        """Puts the verdict of a report into words.

        Args:
            report: the messages.
            content: the same report as text.
        """
        model = content.captions.model(report.model)
        rows = tuple(
            _check_row(report, held, _checked(report, model, content.results, held))
            for held in report.verdict.checks
        )
        line = VERDICTS.get(report.verdict.outcome, "FAIL")
        changes = change_rows(report, content.results)
        settings = setting_rows(report, content.captions)
        against = content.captions.spoken(report.verdict.baseline)
        taken = _sequential(report)
        tally = "; ".join(filter(None, (_tally(rows), taken)))
        return cls(report, model, line, tally, rows, changes, settings, against, taken)


def _sequential(report: GateReport) -> str:
    """How many units a sequential gate took, and which checks they decide; "" of another gate."""
    verdict = report.verdict
    if not verdict.HasField("sequential"):
        return ""
    used, total = verdict.sequential.units, verdict.sequential.units_total
    units = "groups" if report.evaluation.sampling.unit == Sampling.UNIT_GROUP else "images"
    if used < total:
        rest = f"{spared} were" if (spared := total - used) > 1 else "1 was"
        return f"decided after {used} of {total} {units}, so {rest} not needed"
    states = Counter(
        _decision(held) for held in verdict.checks if held.outcome != CheckResult.OUTCOME_SKIPPED
    )
    counts = ", ".join(f"{states[state]} {state}" for state in _DECISIONS if states[state])
    return f"all {total} {units} were needed: {counts}"


_DECISIONS: Final = ("decided in sequence", "undecided", "decided by all together")
"""What is told of a check by a sequential gate that took all units."""


def _decision(held: CheckResult) -> str:
    if held.outcome in {CheckResult.OUTCOME_INCONCLUSIVE, CheckResult.OUTCOME_NOT_EVALUATED}:
        return _DECISIONS[1]
    return _DECISIONS[0] if held.sequential else _DECISIONS[2]


def _tally(rows: Iterable[CheckRow]) -> str:
    counts = Counter(row.outcome for row in rows)
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items())


def _check_row(report: GateReport, held: CheckResult, result: ResultRow | None) -> CheckRow:
    outcomes = CheckResult.DESCRIPTOR.enum_types_by_name["Outcome"]
    severities = Check.DESCRIPTOR.enum_types_by_name["Severity"]
    rule = _rule(report, held)
    shown = result.interval if result else ABSENT
    return CheckRow(
        result=result,
        outcome=short_name(outcomes, held.outcome).replace("_", " "),
        bound=_BOUNDS.get(held.kind, _bound)(rule),
        severity=short_name(severities, held.severity or Check.SEVERITY_FAIL),
        blocking=held.blocking,
        message=held.message,
        kind=short_name(CheckResult.DESCRIPTOR.enum_types_by_name["Kind"], held.kind),
        interval=ends(held.interval) if held.HasField("interval") else shown,
    )


def _checked(
    report: GateReport, model: str, results: Sequence[ResultRow], held: CheckResult
) -> ResultRow | None:
    """The score that a check was held against; that of the clean accuracy is no result."""
    if held.check < 0:
        return _accuracy_row(report, model)
    if not 0 <= held.result < len(results):
        return None
    row = results[held.result]
    if held.kind != CheckResult.KIND_DISPARITY:
        return row
    disparity = report.evaluation.results[held.result].disparity
    shown = number(disparity.value) if disparity.HasField("value") else ABSENT
    return replace(row, score=shown, interval=ABSENT)


def _accuracy_row(report: GateReport, model: str) -> ResultRow:
    summary = report.evaluation.clean_accuracy.get(report.model, Summary())
    return ResultRow(
        model=model,
        metric=accuracy_name(report),
        removal="",
        explainer="",
        arrow=ARROWS[Direction.DIRECTION_HIGHER_IS_BETTER],
        score=estimate(summary),
        interval=interval(summary),
        scored=f"{summary.scored}/{image_count(report)}",
        undefined="",
    )


def _rule(report: GateReport, held: CheckResult) -> Check:
    """The rule behind a check; that of the clean accuracy as a check of the same bounds."""
    if held.check >= 0:
        return report.policy.checks[held.check]
    return accuracy_rule(report.policy.clean_accuracy)


def accuracy_rule(accuracy: CleanAccuracy) -> Check:
    """The bounds of the clean accuracy as those of a check."""
    rule = Check(on=accuracy.on, severity=accuracy.severity)
    for bound in ("min", "max_regression"):
        if accuracy.HasField(bound):
            setattr(rule, bound, getattr(accuracy, bound))
    return rule


def _bound(check: Check) -> str:
    parts = [f"≥ {number(check.min)}"] if check.HasField("min") else []
    parts += [f"≤ {number(check.max)}"] if check.HasField("max") else []
    on_mean = " (mean)" if check.on == Check.ON_MEAN else ""
    return " and ".join(parts) + on_mean if parts else "is scored"


def _regression_bound(check: Check) -> str:
    return f"drop ≤ {number(check.max_regression)}"


def _disparity_bound(check: Check) -> str:
    on_mean = " (mean)" if check.on == Check.ON_MEAN else ""
    return f"disparity ≤ {number(check.max_disparity)}{on_mean}"


def demands(check: Check) -> tuple[str, ...]:
    """All that a check of a policy bounds, each in words."""
    found = [_bound(check)] if check.HasField("min") or check.HasField("max") else []
    if check.HasField("max_disparity"):
        found.append(_disparity_bound(check))
    if check.HasField("max_regression"):
        found.append(_regression_bound(check))
    return tuple(found)


_BOUNDS: Final[Mapping[int, Callable[[Check], str]]] = {
    CheckResult.KIND_REGRESSION: _regression_bound,
    CheckResult.KIND_DISPARITY: _disparity_bound,
}
"""What a check demands, by what it compares."""
