import re
from collections import Counter
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from heatproof.client import GateReport, Report
from heatproof.client.command.output import console, tables
from heatproof.client.documents.messages import read
from heatproof.client.report import checks, html, junit, markdown, rows
from heatproof.client.report.checks import Judgement
from heatproof.client.report.content import Content
from heatproof.client.report.numbers import number
from heatproof.client.report.page.charts import _ticks, charts
from heatproof.client.report.rows import ClassNames
from heatproof.v1.comparison_pb2 import ModelDifference
from heatproof.v1.dataset_pb2 import Dataset
from heatproof.v1.evaluation_pb2 import Evaluation, EvaluationSpec
from heatproof.v1.gate_pb2 import Check, CheckResult, Policy, Verdict
from heatproof.v1.image_pb2 import Image
from heatproof.v1.model_pb2 import Model
from heatproof.v1.results_pb2 import (
    Disparity,
    GroupScore,
    Interval,
    MetricResult,
    Sampling,
    Summary,
)
from tests.client import canned
from tests.client.report.markup import elements

HOSTILE = "<script>alert(1)</script>\"'&|\x00\x1b@everyone [x](http://y)"
CLASSES = ClassNames(["cat", HOSTILE])


def gate_report(outcome: Verdict.Outcome.ValueType = Verdict.OUTCOME_FAIL) -> GateReport:
    """Two images of hostile names and a hostile class, judged by two checks."""
    checks = [{"metric": "deletion", "max": 0.3}, {"metric": "insertion", "min": 0.2}]
    table = {"checks": checks, "explainers": ["grad_cam"], "removals": ["black"]}
    policy = read(Policy, table)
    spec = EvaluationSpec(
        models=["models/sha256-" + "a" * 64],
        metrics=[check.metric for check in policy.checks],
        explainers=policy.explainers,
        removals=policy.removals,
        keep_overlays=True,
    )
    images = [Image(display_name=HOSTILE, label=1), Image(display_name="b.png")]
    evaluation = Evaluation(spec=spec, results=canned.results(spec, 2))
    evaluation.create_time.FromSeconds(1_700_000_000)
    evaluation.end_time.FromSeconds(1_700_000_012)
    verdict = canned.verdict(policy, evaluation, outcome)
    verdict.warnings.append(HOSTILE)
    return GateReport(
        evaluation,
        tuple(canned.image_results(spec, images)),
        (Model(name=spec.models[0], display_name=HOSTILE),),
        Dataset(images=2, labelled=1),
        model=spec.models[0],
        policy=policy,
        verdict=verdict,
    )


def content_of(report: Report) -> Content:
    return Content.of(report, CLASSES)


def judged(report: GateReport) -> tuple[Content, Judgement]:
    content = content_of(report)
    return content, Judgement.of(report, content)


def test_rows_are_made_once_however_many_renderings_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[str] = []
    for module, maker in ((rows, "_result_row"), (rows, "_clean_row"), (checks, "_check_row")):
        called = getattr(module, maker)
        monkeypatch.setattr(module, maker, lambda *a, m=maker, c=called: (made.append(m), c(*a))[1])
    report = gate_report()

    content, judgement = judged(report)
    for render in (html.render, markdown.render, junit.render):
        render(content, judgement)
    tables.show_report(content)
    tables.show_results(content)
    tables.show_verdict(content, judgement)

    assert Counter(made) == {"_result_row": 2, "_clean_row": 2, "_check_row": 2}


def test_a_report_says_how_many_images_count_and_what_the_unit_is() -> None:
    report = gate_report()
    report.evaluation.sampling.MergeFrom(
        Sampling(unit=Sampling.UNIT_GROUP, units=7, images=19, copies=3, units_left_out=5)
    )
    content = content_of(report)
    for page in (markdown.render(content), html.render(content)):
        assert "of which 3 are copies of others and count once" in page
        assert "5 of 12 units were left out" in page
        assert "count 7 groups" in page
        assert "2/19" in page


def test_a_check_shows_the_interval_that_it_was_held_against() -> None:
    report = gate_report()
    report.verdict.checks[0].interval.MergeFrom(Interval(lower=0.123, upper=0.789))
    first, second = judged(report)[1].checks
    assert (first.interval, second.interval) == ("[0.123, 0.789]", "[0.4, 0.6]")
    assert "[0.123, 0.789]" in html.render(*judged(report))


def test_the_worst_group_is_shown_against_the_best_in_every_rendering(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console.out, "width", 200)  # narrower tables fold names
    report = gate_report()
    disparity = report.evaluation.results[0].disparity
    disparity.MergeFrom(Disparity(value=0.25, groups=3, small_groups=4))
    disparity.worst.MergeFrom(GroupScore(group="south|", summary=Summary(value=0.5)))
    disparity.best.MergeFrom(GroupScore(group="north", summary=Summary(value=0.75)))
    disparity.interval.MergeFrom(Interval(lower=0.125, upper=0.375))
    report.evaluation.results[1].disparity.MergeFrom(Disparity(groups=1, small_groups=6))
    report.policy.checks[0].max_disparity = 0.1
    report.verdict.checks[0].MergeFrom(
        CheckResult(kind=CheckResult.KIND_DISPARITY, interval=disparity.interval)
    )
    content, judgement = judged(report)
    tables.show_disparities(content)
    pages = [markdown.render(content, judgement), html.render(content, judgement)]
    for page in (*pages, "".join(capsys.readouterr().out.split())):
        bare = page.replace(" ", "").replace("\\", "")
        for shown in ("north:0.75", "0.25", "[0.125,0.375]", "3of7", "0of7", "south|:0.5"):
            assert shown in bare
    first, second = judgement.checks
    assert (first.bound, first.interval) == ("disparity ≤ 0.1", "[0.125, 0.375]")
    assert first.result is not None
    assert first.result.score == "0.25"
    assert second.bound == "≥ 0.2"
    assert first.kind == "disparity"


def test_the_page_escapes_names_and_fetches_nothing() -> None:
    page = html.render(*judged(gate_report()))
    seen = elements(page)

    (script,) = (one for one in seen if one.tag == "script")
    assert script.text.startswith('"use strict";')
    assert "&lt;script&gt;alert(1)" in page
    addresses = [one.attributes.get(name) or "" for one in seen for name in ("src", "href")]
    outside = [address for address in addresses if address and not address.startswith("#")]
    assert len(outside) == 2 + 2  # images and maps
    assert all(address.startswith("data:image/") for address in outside)
    assert not re.search(r"url\(|@import|<link", page)


def test_the_page_shows_the_verdict_every_map_and_every_curve() -> None:
    page = html.render(*judged(gate_report()))

    assert '<section class="banner bad"' in page
    assert page.count("data:image/png") == 2
    assert page.count('<polyline class="own" points=') == 2 * 2  # a mean and its legend
    assert page.count('<polyline class="image" points=') == (1 + 1) + (2 + 1)  # one is undefined
    assert "the map is constant" in page


def test_markdown_takes_the_meaning_off_names() -> None:
    text = markdown.render(*judged(gate_report()))

    assert "<script" not in text
    shown = MarkdownIt("commonmark").enable("table").render(text)
    assert "@\N{ZERO WIDTH SPACE}everyone" in shown  # forges look for mentions in what is shown
    assert "@everyone" not in shown
    assert not re.search(r"(?<!\\)\]\(", text)
    rows = [line for line in text.splitlines() if line.startswith("|") and "grad" in line]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {6}


def test_markdown_lists_what_blocks_first_and_says_what_only_warns() -> None:
    report = gate_report()
    first = report.verdict.checks[0]
    del report.verdict.checks[:]
    for outcome, blocking, severity in (
        (CheckResult.OUTCOME_PASS, False, Check.SEVERITY_FAIL),
        (CheckResult.OUTCOME_FAIL, False, Check.SEVERITY_WARN),
        (CheckResult.OUTCOME_SKIPPED, False, Check.SEVERITY_FAIL),
        (CheckResult.OUTCOME_NOT_EVALUATED, True, Check.SEVERITY_FAIL),
        (CheckResult.OUTCOME_FAIL, True, Check.SEVERITY_FAIL),
    ):
        held = report.verdict.checks.add()
        held.CopyFrom(first)
        held.outcome, held.blocking, held.severity = outcome, blocking, severity
    text = markdown.render(*judged(report))

    table = [line for line in text.splitlines() if line.startswith("| ") and "deletion" in line]
    assert [line.split(" | ")[0] for line in table] == ["| ❌", "| ❌", "| ⚠️", "| ⏭️", "| ✅"]
    assert [line.split(" | ")[-1] for line in table] == [
        r"not evaluated<br><sub>0.5 in \[0.4, 0.6\] was held against the bound</sub> |",
        "fail |",  # score, interval and bound stand in the row
        r"fail \(warns only\) |",
        r"skipped<br><sub>0.5 in \[0.4, 0.6\] was held against the bound</sub> |",
        "pass |",
    ]
    assert "checks: 2 blocking, 1 warning, 1 skipped, 1 passed · 2 images" in text


def test_markdown_of_many_checks_folds_those_that_passed() -> None:
    report = gate_report(Verdict.OUTCOME_PASS)
    checks = [report.verdict.checks[0]] * 20
    del report.verdict.checks[:]
    report.verdict.checks.extend(checks)
    assert "checks that passed" not in markdown.render(*judged(report))
    report.verdict.checks.add().CopyFrom(checks[0])
    report.verdict.checks[20].outcome = CheckResult.OUTCOME_SKIPPED
    text = markdown.render(*judged(report))
    before, folded, after = text.partition("<details><summary>20 checks that passed</summary>")
    assert before.count("⏭️") == 1
    assert "✅ |" not in before
    assert after.partition("</details>")[0].count("✅") == 20
    assert folded


def test_markdown_is_read_as_it_is_meant() -> None:
    """By an independent reader: titles of folded parts are HTML, in which nothing is escaped."""
    report = gate_report()
    change = report.verdict.changes.add(result=0, candidate=0.5, baseline=0.75, images=2)
    worse = {"difference": -0.25, "adjusted_p_value": 0.01}
    change.difference.MergeFrom(ModelDifference(interval=Interval(lower=-0.5, upper=-0.1), **worse))
    change.worst.add(image="f" * 64, display_name="a_b|c.png", candidate=0.1, baseline=0.9, drop=1)
    page = MarkdownIt("commonmark", {"html": True}).enable("table")
    text = page.render(markdown.render(*judged(report)))
    assert text.count("<table>") == 4
    assert text.count("<td>a_b|c.png</td>") == 1
    assert "deletion ↑<br><sub>grad_cam\N{NO-BREAK SPACE}·\N{NO-BREAK SPACE}black</sub>" in text
    assert "\\" not in re.sub(r"\\x1b|\x1b", "", text)
    assert re.findall(r"<summary>(.*?)</summary>", text) == [
        "Images that got worst", "What was evaluated", "Clean predictions"
    ]  # fmt: skip
    change.difference.adjusted_p_value = 0.5
    assert "got worst" not in markdown.render(*judged(report))  # chance alone names images too


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0, 1.3, [0, 0.5, 1, 1.5]), (-2, 1, [-2, -1, 0, 1])],
)
def test_ticks_are_round_and_enclose_the_values(
    low: float, high: float, ticks: list[float]
) -> None:
    assert _ticks(high, low) == ticks


def test_numbers_have_four_digits() -> None:
    assert [number(value) for value in (0.123456, -0.0, 12345.6)] == ["0.1235", "0", "1.235e+04"]


def test_charts_say_what_the_server_says_of_curves_and_leave_out_another_unit() -> None:
    report = gate_report()
    points = {"fractions": [0, 1], "values": [1, 0]}
    held = {"unit": "apples", "x_unit": "share of pears", **points}
    curves = {
        "a": {**held, "label": "two", "role": "ROLE_CONTROL"},
        "b": {**held, "label": "one", "role": "ROLE_SCORED"},
        "c": {**held, "label": "three", "role": "ROLE_CONTROL"},
        "d": {**points, "unit": "plums", "role": "ROLE_ORACLE"},
        "e": {**held, "role": "ROLE_REFERENCE"},
    }
    result = MetricResult(metric={"deletion": {}}, curves=curves)  # type: ignore[arg-type]  # dictionaries
    evaluation = Evaluation(spec=report.evaluation.spec, results=[result])
    (chart,) = charts(content_of(Report(evaluation, (), report.models, report.dataset)))
    assert (chart.x_title, chart.y_title) == ("share of pears", "apples")
    lines = [(line.name, line.style) for line in chart.legend]
    assert lines == [("one", "own"), ("e", "random"), ("three", "shifted"), ("two", "control")]


def test_the_page_is_of_the_candidate_whatever_its_place_among_the_models() -> None:
    report = gate_report()
    other = Model(name="models/sha256-" + "b" * 64, display_name="other.onnx")
    beside = replace(report, models=(other, *report.models))
    heading = html.render(*judged(beside)).partition("<h1")[2].partition("</h1>")[0]
    assert "other.onnx" not in heading
    assert "against" not in heading
    beside.verdict.baseline = other.name
    heading = html.render(*judged(beside)).partition("<h1")[2].partition("</h1>")[0]
    assert heading.index("against") < heading.index("other.onnx")
