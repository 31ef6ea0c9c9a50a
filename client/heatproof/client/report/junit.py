"""JUnit XML: a check is a test case, and so is the evaluation that they share.

Names of cases hold neither bounds nor files, so that a CI server follows a check over its history.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from heatproof.client.documents.results import Report
from heatproof.client.report.checks import CheckRow, Judgement
from heatproof.client.report.content import Content
from heatproof.client.report.failures import NO_VERDICT, Failure

SUITE: Final = "heatproof gate"
"""Name of the suite, and of the class of its cases."""

EVALUATION: Final = "evaluation"
"""Name of the case that has the time of the evaluation: checks take none beside it."""

# XML 1.0 has no way to write these, not even escaped; file names may hold them.
_UNWRITABLE: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Case:
    """A test case.

    Attributes:
        name: its name.
        tag: `failure`, `error` or `skipped`; `system-out` of one that passed.
        type: what kind of failure it is.
        message: what it says.
        seconds: how long it took.
    """

    name: str
    tag: str
    type: str
    message: str
    seconds: float = 0.0


def write(content: Content | None, outcome: Judgement | Failure, path: Path) -> None:
    """Writes the verdict, or why there is none, as JUnit XML."""
    path.write_text(render(content, outcome), encoding="utf-8")


def render(content: Content | None, outcome: Judgement | Failure) -> str:
    """The verdict as JUnit XML; without one the case of the evaluation is an error.

    Args:
        content: what was evaluated; None where a failure came before it.
        outcome: the verdict, or why there is none.
    """
    warnings = () if content is None else content.warnings
    if isinstance(outcome, Failure):
        return _rendered([_failed(content, outcome)], [("verdict", NO_VERDICT)], warnings)
    assert content is not None  # noqa: S101  # a verdict is of an evaluation
    cases = [_evaluated(content), *_checked(outcome.checks)]
    return _rendered(cases, _properties(content, outcome), warnings)


def _failed(content: Content | None, failure: Failure) -> Case:
    seconds = 0.0 if content is None else _seconds(content.report)
    return Case(EVALUATION, "error", failure.reason, failure.message, seconds)


def _evaluated(content: Content) -> Case:
    told = f"{content.images} images by {content.models}"
    return Case(EVALUATION, "system-out", "", told, _seconds(content.report))


def _checked(rows: Iterable[CheckRow]) -> Iterator[Case]:
    """The checks; those of one name, such as two bounds of one score, are numbered."""
    seen: Counter[str] = Counter()
    for row in rows:
        name = f"{row.subject}: {row.kind}"
        seen[name] += 1
        yield _case(row, name if seen[name] == 1 else f"{name} {seen[name]}")


def _case(row: CheckRow, name: str) -> Case:
    told = f"{row.bound}: {row.outcome}: {row.message}"
    if row.blocking:
        tag = "error" if row.outcome == "not evaluated" else "failure"
        return Case(name, tag, row.outcome, told)
    if row.outcome == "pass":
        return Case(name, "system-out", "", told)
    # What only warns neither passed nor failed; as skipped, a CI server shows it with its reason.
    only = "" if row.outcome == "skipped" else "warns only: "
    return Case(name, "skipped", row.outcome, f"{only}{told}")


def _properties(content: Content, judged: Judgement) -> Iterator[tuple[str, str]]:
    yield "verdict", judged.line
    yield "model", judged.report.model
    if judged.sequential:
        yield "sequential", judged.sequential
    for model, text in content.class_outputs:
        yield f"class output of {model}", text
    for model, accuracy in content.accuracies:
        yield f"{content.accuracy_name} of {model}", accuracy
    for row in judged.changes:
        told = f"{row.difference} {row.interval}, corrected p {row.p_value}: {row.reading}"
        yield f"{row.subject} against the baseline", told
    if judged.baseline:
        yield "baseline", judged.baseline
    for setting in judged.settings:
        yield f"{setting.setting} against the baseline", setting.told
    for line in content.warnings:
        yield "warning", line


def _rendered(
    cases: list[Case], properties: Iterable[tuple[str, str]], warnings: Iterable[str]
) -> str:
    tags = Counter(case.tag for case in cases)
    totals = {
        "tests": str(len(cases)),
        "failures": str(tags["failure"]),
        "errors": str(tags["error"]),
        "time": f"{sum(case.seconds for case in cases):.3f}",
    }
    root = ET.Element("testsuites", {"name": "heatproof", **totals})
    of_suite = {"name": SUITE, **totals, "skipped": str(tags["skipped"])}
    suite = ET.SubElement(root, "testsuite", of_suite)
    held = ET.SubElement(suite, "properties")
    for name, value in properties:
        ET.SubElement(held, "property", {"name": _clean(name), "value": _clean(value)})
    for case in cases:
        _add(suite, case)
    text = _clean("\n".join(warnings))
    if text:
        ET.SubElement(suite, "system-out").text = text
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _add(suite: ET.Element, case: Case) -> None:
    named = {"classname": SUITE, "name": _clean(case.name), "time": f"{case.seconds:.3f}"}
    made, message = ET.SubElement(suite, "testcase", named), _clean(case.message)
    if case.tag == "system-out":
        ET.SubElement(made, case.tag).text = message
        return
    told = ET.SubElement(made, case.tag, {"message": message, "type": case.type})
    if case.tag != "skipped":
        told.text = message


def _seconds(report: Report) -> float:
    evaluation = report.evaluation
    if not evaluation.HasField("end_time"):
        return 0.0
    spent = evaluation.end_time.ToDatetime() - evaluation.create_time.ToDatetime()
    return max(0.0, spent.total_seconds())


def _clean(text: str) -> str:
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)
