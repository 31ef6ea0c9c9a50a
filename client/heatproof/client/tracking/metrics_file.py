"""A gate as nested numbers under stable keys, as DVC and other trackers of metrics read them.

Keys hold neither bounds nor files nor indices, so that a score keeps its key from one commit to the
next: metric, explainer and removal operator, with those parameters alone that tell namesakes apart.
"""

import json
from pathlib import Path
from typing import Any, Final, TypeAlias

from heatproof.client.documents.captions import Captions
from heatproof.client.documents.results import GateReport
from heatproof.client.documents.results.rows import value_of
from heatproof.v1.gate_pb2 import CheckResult
from heatproof.v1.results_pb2 import MetricResult, Summary

Numbers: TypeAlias = dict[str, Any]
"""Numbers, or tables of them, by key."""

ALONE: Final = "model"
"""Stands for the explainer of a score that has none."""

OUTCOMES: Final = {
    name.removeprefix("OUTCOME_").lower(): number
    for name, number in CheckResult.Outcome.items()
    if number != CheckResult.OUTCOME_UNSPECIFIED
}
"""Outcomes of checks by their short names."""


def write(report: GateReport, path: Path) -> None:
    """Writes the numbers of a gate as JSON."""
    path.write_text(json.dumps(numbers(report), indent=1) + "\n", encoding="utf-8")


def numbers(report: GateReport) -> Numbers:
    """Scores of the candidate with their intervals, and the verdict: 1 is true, 0 false."""
    found: Numbers = {"verdict": _verdict(report)}
    accuracy = report.evaluation.clean_accuracy
    if report.model in accuracy:
        found["clean_accuracy"] = _summary(accuracy[report.model])
    scores: Numbers = {}
    for result in report.results:
        if result.models[0] == report.model:
            _put(scores, _keys(result, report.captions), _summary(result.summary))
    return {**found, "scores": scores}


def _verdict(report: GateReport) -> Numbers:
    checks = report.verdict.checks
    return {
        "passed": int(report.passed),
        "images": len(report.images),
        **_taken(report),
        "checks": len(checks),
        "blocking": sum(held.blocking for held in checks),
        **{name: sum(held.outcome == of for held in checks) for name, of in OUTCOMES.items()},
    }


def _taken(report: GateReport) -> Numbers:
    """How many units a sequential gate took, of how many."""
    verdict = report.verdict
    if not verdict.HasField("sequential"):
        return {}
    return {"units": verdict.sequential.units, "units_total": verdict.sequential.units_total}


def _keys(result: MetricResult, captions: Captions) -> list[str]:
    """Metric, explainer and removal operator; without points, by which DVC joins keys."""
    held = captions.setting(result)
    keys = [held["metric"], held["explainer"] or ALONE, held["removal"]]
    return [key.replace(".", "_") for key in keys if key]


def _put(table: Numbers, keys: list[str], held: Numbers) -> None:
    for key in keys[:-1]:
        table = table.setdefault(key, {})
    table[keys[-1]] = held


def _summary(summary: Summary) -> Numbers:
    """What is known; a score that could not be computed has no `value`."""
    found: Numbers = {"scored": summary.scored}
    value = value_of(summary)
    if value is not None:
        found["value"] = value
    if summary.HasField("interval"):
        found |= {"lower": summary.interval.lower, "upper": summary.interval.upper}
    return found
