"""What reports say of a sequential gate."""

import json
from pathlib import Path

import pytest

from heatproof.client.documents.results import GateReport
from heatproof.client.report import html, junit, markdown
from heatproof.client.tracking.metrics_file import numbers
from heatproof.v1.evaluation_pb2 import Evaluation
from heatproof.v1.gate_pb2 import CheckResult
from heatproof.v1.results_pb2 import Sampling
from tests.client.report.test_reports import gate_report, judged

STOPPED = "decided after 2 of 50 images, so 48 were not needed"


def sequential(units: int, total: int, *outcomes: "CheckResult.Outcome.ValueType") -> GateReport:
    """A report of two checks that confidence sequences decide."""
    report = gate_report()
    report.verdict.sequential.units, report.verdict.sequential.units_total = units, total
    report.evaluation.sequential.CopyFrom(report.verdict.sequential)
    for check, outcome in zip(report.verdict.checks, outcomes, strict=False):
        check.sequential, check.outcome = True, outcome
    if units < total:
        report.evaluation.state = Evaluation.STATE_STOPPED
    progress = report.evaluation.progress
    progress.images_done, progress.images_total = len(report.images), total
    return report


def test_every_report_says_after_how_many_units_it_was_decided(tmp_path: Path) -> None:
    report = sequential(2, 50, CheckResult.OUTCOME_PASS, CheckResult.OUTCOME_FAIL)
    content, judgement = judged(report)
    assert content.images == "2 of 50"
    assert judgement.sequential == STOPPED
    assert judgement.tally.endswith(f"; {STOPPED}")
    assert f'<property name="sequential" value="{STOPPED}" />' in junit.render(content, judgement)
    assert f" · {STOPPED} · " in markdown.render(content, judgement)
    assert "2 of 50 images" in markdown.render(content, judgement)
    assert STOPPED in html.render(content, judgement)
    verdict = numbers(report)["verdict"]
    assert (verdict["units"], verdict["units_total"]) == (2, 50)
    report.save(tmp_path / "report.json")
    saved = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert saved["verdict"]["sequential"] == {"units": 2, "units_total": 50}
    assert saved["evaluation"]["state"] == "STATE_STOPPED"


def test_units_that_were_left_out_and_those_that_were_not_needed_are_told_apart() -> None:
    report = sequential(2, 50, CheckResult.OUTCOME_PASS)
    report.evaluation.spec.units = 50
    report.evaluation.sampling.MergeFrom(Sampling(units=2, units_left_out=30))
    assert judged(report)[0].images == (
        "2 of 50; 30 of 80 units were left out: `units = 50` repeats this choice"
    )


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        ((), "2 decided by all together"),
        ((CheckResult.OUTCOME_PASS,), "1 decided in sequence, 1 decided by all together"),
        (
            (CheckResult.OUTCOME_FAIL, CheckResult.OUTCOME_INCONCLUSIVE),
            "1 decided in sequence, 1 undecided",
        ),
        ((CheckResult.OUTCOME_NOT_EVALUATED, CheckResult.OUTCOME_INCONCLUSIVE), "2 undecided"),
    ],
)
def test_a_gate_that_took_all_says_what_is_decided(
    outcomes: tuple["CheckResult.Outcome.ValueType", ...], told: str
) -> None:
    _, judgement = judged(sequential(2, 2, *outcomes))
    assert judgement.sequential == f"all 2 images were needed: {told}"


def test_what_no_unit_has_a_score_for_is_decided_by_nothing() -> None:
    report = sequential(2, 2, CheckResult.OUTCOME_PASS)
    second = report.verdict.checks[1]
    second.sequential, second.outcome = False, CheckResult.OUTCOME_NOT_EVALUATED
    told = "all 2 images were needed: 1 decided in sequence"
    assert judged(report)[1].sequential == f"{told}, 1 undecided"
    second.outcome = CheckResult.OUTCOME_SKIPPED
    assert judged(report)[1].sequential == told


def test_groups_are_counted_as_groups() -> None:
    report = sequential(3, 9, CheckResult.OUTCOME_PASS)
    report.evaluation.sampling.unit = Sampling.UNIT_GROUP
    assert judged(report)[1].sequential == "decided after 3 of 9 groups, so 6 were not needed"


def test_one_image_that_was_not_needed_was_not() -> None:
    report = sequential(34, 35, CheckResult.OUTCOME_PASS)
    assert judged(report)[1].sequential == "decided after 34 of 35 images, so 1 was not needed"


def test_another_gate_says_nothing_of_it() -> None:
    content, judgement = judged(gate_report())
    assert (judgement.sequential, content.images) == ("", "2")
    assert "sequential" not in junit.render(content, judgement)
    assert "units" not in numbers(judgement.report)["verdict"]
