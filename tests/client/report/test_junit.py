"""JUnit XML as CI servers read it: what Jenkins' xunit plugin allows, stable names, real times."""

from xml.etree import ElementTree as ET

import pytest

from heatproof.client.report import junit
from heatproof.client.report.failures import Failure
from heatproof.v1.gate_pb2 import CheckResult
from heatproof.v1.results_pb2 import Interval
from tests.client.report.test_reports import HOSTILE, content_of, gate_report, judged

# By junit-10.xsd of Jenkins' xunit plugin, which refuses a file that has anything else.
ATTRIBUTES = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, set()),
    "testsuite": (
        {"name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp",
         "hostname", "id", "package", "file", "log", "url"},
        {"name", "tests", "failures", "errors"},
    ),
    "properties": (set(), set()),
    "property": ({"name", "value"}, {"name", "value"}),
    "testcase": ({"name", "time", "classname", "group"}, {"name"}),
    "failure": ({"type", "message"}, set()),
    "error": ({"type", "message"}, set()),
    "skipped": ({"type", "message"}, set()),
    "system-out": (set(), set()),
}  # fmt: skip
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"testsuite", "properties", "testcase", "system-out", "system-err"},
    "properties": {"property"},
    "testcase": {"skipped", "error", "failure", "system-out", "system-err"},
}


def require_junit(text: str) -> ET.Element:
    """What Jenkins' schema asks of a file, and counts and times that agree with the cases."""
    root = ET.fromstring(text)  # noqa: S314  # our own output
    for element in root.iter():
        allowed, needed = ATTRIBUTES[element.tag]
        assert needed <= set(element.attrib) <= allowed, element.tag
        assert {child.tag for child in element} <= CHILDREN.get(element.tag, set())
    (suite,) = root
    cases = suite.findall("testcase")
    for held in (root, suite):
        assert int(held.attrib["tests"]) == len(cases)
        for counted, tag in (("failures", "failure"), ("errors", "error")):
            assert int(held.attrib[counted]) == len(suite.findall(f"testcase/{tag}"))
    assert int(suite.attrib["skipped"]) == len(suite.findall("testcase/skipped"))
    seconds = [float(case.attrib["time"]) for case in cases]
    assert float(suite.attrib["time"]) == float(root.attrib["time"]) == pytest.approx(sum(seconds))
    assert len({case.attrib["name"] for case in cases}) == len(cases)
    assert all(len(case) == 1 for case in cases)
    return suite


def names(suite: ET.Element) -> list[str]:
    return [case.attrib["name"] for case in suite.findall("testcase")]


def test_checks_and_the_evaluation_whose_time_it_is_are_cases() -> None:
    suite = require_junit(junit.render(*judged(gate_report())))
    assert suite.attrib["time"] == "12.000"
    assert suite.attrib["failures"] == "2"
    assert names(suite) == [
        "evaluation", "deletion · grad_cam · black: bound", "insertion · grad_cam · black: bound"
    ]  # fmt: skip
    assert suite.findall("testcase/failure")[0].attrib["message"].startswith("≤ 0.3: fail: ")


def test_names_hold_neither_bounds_nor_files() -> None:
    report, other = gate_report(), gate_report()
    other.policy.checks[0].max = 0.7
    other.models[0].display_name = "other.onnx"
    first, second = (require_junit(junit.render(*judged(one))) for one in (report, other))
    assert names(first) == names(second)
    assert first.attrib["name"] == second.attrib["name"] == "heatproof gate"
    assert {case.attrib["classname"] for case in first.findall("testcase")} == {"heatproof gate"}


def test_two_bounds_of_one_score_are_told_apart() -> None:
    report = gate_report()
    report.verdict.checks[1].result = 0
    suite = require_junit(junit.render(*judged(report)))
    assert names(suite)[1:] == [
        "deletion · grad_cam · black: bound", "deletion · grad_cam · black: bound 2"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "blocking", "tag"),
    [
        (CheckResult.OUTCOME_NOT_EVALUATED, True, "error"),
        (CheckResult.OUTCOME_INCONCLUSIVE, True, "failure"),
        (CheckResult.OUTCOME_INCONCLUSIVE, False, "skipped"),
        (CheckResult.OUTCOME_FAIL, False, "skipped"),
        (CheckResult.OUTCOME_SKIPPED, False, "skipped"),
        (CheckResult.OUTCOME_PASS, False, "system-out"),
    ],
)
def test_a_case_fails_only_where_its_check_blocks_and_what_warns_is_seen(
    outcome: CheckResult.Outcome.ValueType, blocking: bool, tag: str
) -> None:
    report = gate_report()
    report.verdict.checks[0].outcome = outcome
    report.verdict.checks[0].blocking = blocking
    (child,) = require_junit(junit.render(*judged(report))).findall("testcase")[1]
    assert child.tag == tag
    is_warning = tag == "skipped" and outcome != CheckResult.OUTCOME_SKIPPED
    assert child.attrib.get("message", "").startswith("warns only: ") == is_warning


def test_changes_are_properties() -> None:
    report = gate_report()
    change = report.verdict.changes.add(result=0, candidate=0.5, baseline=0.75, images=2)
    change.difference.difference = -0.25
    change.difference.interval.MergeFrom(Interval(lower=-0.375, upper=-0.125))
    change.difference.adjusted_p_value = 0.012
    suite = require_junit(junit.render(*judged(report)))
    held = {one.attrib["name"]: one.attrib["value"] for one in suite.iter("property")}
    told = held["deletion · grad_cam · black ↑ against the baseline"]
    assert told == "-0.25 [-0.375, -0.125], corrected p 0.012: worse"


def test_no_verdict_is_an_error_of_the_evaluation_with_its_reason() -> None:
    failure = Failure("UsageError", f"cannot read {HOSTILE}")
    for content, seconds in ((None, "0.000"), (content_of(gate_report()), "12.000")):
        suite = require_junit(junit.render(content, failure))
        assert names(suite) == ["evaluation"]
        assert (suite.attrib["errors"], suite.attrib["time"]) == ("1", seconds)
        (error,) = suite.findall("testcase/error")
        assert error.attrib["type"] == "UsageError"
        assert error.attrib["message"].startswith("cannot read <script>")
