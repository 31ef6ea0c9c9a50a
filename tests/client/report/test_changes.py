"""What changed against the baseline, in every rendering."""

from typing import Any

import pytest

from heatproof.client import GateReport
from heatproof.client.command.output import console, tables
from heatproof.client.report import html, markdown
from heatproof.client.report.failures import Failure
from heatproof.v1.gate_pb2 import ScoreChange
from heatproof.v1.results_pb2 import Direction, Interval
from tests.client.report.test_reports import HOSTILE, content_of, gate_report, judged


def changed(direction: Direction.ValueType, difference: float, **more: Any) -> GateReport:
    """A gate whose first score changed from 0.5 by a difference."""
    report = gate_report()
    report.evaluation.results[0].direction = direction
    held = {"candidate": 0.5 + difference, "baseline": 0.5, "images": 2, "only_baseline": 1}
    change = ScoreChange(result=0, **held)
    ends = sorted((difference / 2, difference * 3 / 2))
    told = {"interval": Interval(lower=ends[0], upper=ends[1]), "adjusted_p_value": 0.012, **more}
    for name, value in {"difference": difference, **told}.items():
        if isinstance(value, Interval):
            change.difference.interval.MergeFrom(value)
        elif value is not None:
            setattr(change.difference, name, value)
    change.worst.add(
        image=report.images[0].image, display_name=HOSTILE, candidate=0.1, baseline=0.9, drop=0.8
    )
    change.worst.add(image="f" * 64, display_name="", candidate=0.2, baseline=0.3, drop=0.1)
    report.verdict.changes.append(change)
    return report


HIGHER, LOWER = Direction.DIRECTION_HIGHER_IS_BETTER, Direction.DIRECTION_LOWER_IS_BETTER


@pytest.mark.parametrize(
    ("direction", "difference", "more", "reading"),
    [
        (HIGHER, 0.25, {}, "better"),
        (HIGHER, -0.25, {}, "worse"),
        (LOWER, 0.25, {}, "worse"),
        (LOWER, -0.25, {}, "better"),
        (Direction.DIRECTION_CLOSER_TO_ZERO, -0.25, {}, "better"),
        (Direction.DIRECTION_CLOSER_TO_ZERO, -1.25, {}, "worse"),
        (HIGHER, 0.25, {"adjusted_p_value": 0.06}, "not told from chance"),
        (HIGHER, 0.25, {"interval": Interval(lower=-0.1, upper=0.5)}, "not told from chance"),
    ],
)
def test_a_change_reads_by_the_metrics_direction_where_interval_and_p_agree(
    direction: Direction.ValueType, difference: float, more: dict[str, Any], reading: str
) -> None:
    (row,) = judged(changed(direction, difference, **more))[1].changes
    assert row.reading == reading


def test_a_change_of_the_clean_accuracy_has_no_result() -> None:
    report = changed(HIGHER, -0.25)
    report.verdict.changes[0].result = -1
    (row,) = judged(report)[1].changes
    assert (row.subject, row.reading) == ("clean accuracy ↑", "worse")


def test_every_rendering_shows_the_difference_and_who_got_worst(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console.out, "width", 250)  # narrower tables fold names
    content, judgement = judged(changed(HIGHER, -0.25))
    tables.show_verdict(content, judgement)
    shown = capsys.readouterr().out
    pages = [markdown.render(content, judgement), html.render(content, judgement), shown]
    for page in pages:
        for text in ("-0.25", "-0.375", "0.012", "2 of 3", "worse"):
            assert text in page.replace("\\", ""), text
    assert "<script" not in pages[0]
    assert '<a href="#image-2"><bdi>&lt;script&gt;' in pages[1]
    assert 'id="image-2"' in pages[1]
    assert "ffffffffffff" in pages[1]  # an image that the page does not show has no link


def test_without_a_baseline_there_is_no_section() -> None:
    content, judgement = judged(gate_report())
    for page in (markdown.render(content, judgement), html.render(content, judgement)):
        assert "gainst the baseline" not in page


@pytest.mark.parametrize("is_evaluated", [False, True])
def test_no_verdict_says_why_and_shows_what_was_evaluated(is_evaluated: bool) -> None:
    failure = Failure("FailedPreconditionError", f"the baseline differs: {HOSTILE}")
    content = content_of(gate_report()) if is_evaluated else None
    for page in (markdown.render(content, failure), html.render(content, failure)):
        assert "NO VERDICT" in page
        assert "FailedPreconditionError" in page
        assert "<script>alert" not in page
        assert ("deletion" in page) == is_evaluated


def test_a_fault_of_ours_is_told_as_such() -> None:
    assert Failure.of(KeyError("x")).message.startswith("a fault of heatproof itself")
    noted = ValueError("x")
    assert "fault" in Failure.of(noted).message
