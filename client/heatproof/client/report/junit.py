"""JUnit XML: a check is a test case."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from heatproof.client.documents.results import Report
from heatproof.client.report.checks import CheckRow, Judgement
from heatproof.client.report.content import Content

# XML 1.0 has no way to write these, not even escaped; file names may hold them.
_UNWRITABLE: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(content: Content, judged: Judgement, path: Path) -> None:
    """Writes the verdict as JUnit XML."""
    path.write_text(render(content, judged), encoding="utf-8")


def render(content: Content, judged: Judgement) -> str:
    """The verdict as JUnit XML; the suite's `time` is that of the evaluation, in seconds."""
    rows, model = judged.checks, judged.model
    kinds = [_kind(row) for row in rows]
    totals = {
        "tests": str(len(rows)),
        "failures": str(kinds.count("failure")),
        "errors": str(kinds.count("error")),
        "skipped": str(kinds.count("skipped")),
        "time": f"{_seconds(content.report):.3f}",
    }
    root = ET.Element("testsuites", {"name": "heatproof", **totals})
    suite = ET.SubElement(root, "testsuite", {"name": _clean(f"heatproof gate {model}"), **totals})
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(content, judged):
        ET.SubElement(properties, "property", {"name": _clean(name), "value": _clean(value)})
    for row, kind in zip(rows, kinds, strict=True):
        _add_case(suite, row, kind, model)
    if content.warnings:
        ET.SubElement(suite, "system-out").text = _clean("\n".join(content.warnings))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _properties(content: Content, judged: Judgement) -> Iterator[tuple[str, str]]:
    yield "verdict", judged.line
    yield "model", judged.report.model
    for model, text in content.class_outputs:
        yield f"class output of {model}", text
    for model, accuracy, labelled in content.accuracies:
        yield f"{content.accuracy_name} of {model}", f"{accuracy} ({labelled} images labelled)"
    for line in content.warnings:
        yield "warning", line


def _add_case(suite: ET.Element, row: CheckRow, kind: str, model: str) -> None:
    # The checks share one evaluation, whose time is that of the suite.
    name = _clean(f"{row.subject} {row.bound}")
    case = ET.SubElement(
        suite, "testcase", {"classname": _clean(model), "name": name, "time": "0.000"}
    )
    message = _clean(row.message)
    if kind in {"failure", "error"}:
        ET.SubElement(case, kind, {"message": message, "type": row.outcome}).text = message
    elif kind == "skipped":
        ET.SubElement(case, kind, {"message": message})
    else:
        ET.SubElement(case, "system-out").text = f"{row.outcome}: {message}"


def _kind(row: CheckRow) -> str:
    if row.blocking:
        return "error" if row.outcome == "not evaluated" else "failure"
    return "skipped" if row.outcome == "skipped" else ""


def _seconds(report: Report) -> float:
    evaluation = report.evaluation
    if not evaluation.HasField("end_time"):
        return 0.0
    spent = evaluation.end_time.ToDatetime() - evaluation.create_time.ToDatetime()
    return max(0.0, spent.total_seconds())


def _clean(text: str) -> str:
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)
