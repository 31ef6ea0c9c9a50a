"""Markdown, as for a comment on a pull request."""

import html
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from heatproof.client.documents.results import GateReport, Report
from heatproof.client.documents.targets import target_text
from heatproof.client.report.rows import (
    ABSENT,
    CheckRow,
    ClassNames,
    accuracy_rows,
    check_rows,
    class_output_rows,
    clean_rows,
    model_line,
    preprocessing_text,
    result_rows,
    sampling_text,
    tally,
    verdict_line,
    warning_lines,
)

SIGNS: Final = {"good": "✅", "bad": "❌", "warning": "⚠️", "quiet": "⏭️"}
"""Signs of outcomes by their tone."""

LISTED_IMAGES: Final = 50
"""Images whose clean answer is listed."""

_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]()#+!|~@])")


def write(report: Report, path: Path, classes: ClassNames) -> None:
    """Writes a report as Markdown."""
    path.write_text(render(report, classes), encoding="utf-8")


def render(report: Report, classes: ClassNames) -> str:
    """A report as Markdown."""
    if isinstance(report, GateReport):
        parts = _judged(report)
    else:
        parts = ["## Heatproof evaluation", *_warnings(report), "", *_results(report)]
    parts += ["", *_facts(report, classes), "", *_clean(report, classes)]
    return "\n".join(parts) + "\n"


def _judged(report: GateReport) -> list[str]:
    rows = check_rows(report)
    sign = SIGNS["good" if report.passed else "bad"]
    return [
        f"## {sign} Heatproof gate: {verdict_line(report)}",
        *_warnings(report),
        "",
        escape(tally(rows)),
        "",
        *_table(
            ("", "Check", "Score", "Interval", "Bound", "Outcome"), [_check(row) for row in rows]
        ),
    ]


def _warnings(report: Report) -> list[str]:
    return [f"\n> {SIGNS['warning']} **{escape(line)}**" for line in warning_lines(report)]


def _check(row: CheckRow) -> tuple[str, ...]:
    score = row.result.score if row.result else ABSENT
    message = "" if row.outcome == "pass" else f": {row.message}"
    cells = (row.subject, score, row.interval, row.bound, f"{row.outcome}{message}")
    return SIGNS[row.tone], *map(escape, cells)


def _results(report: Report) -> list[str]:
    heads = ("Model", "Metric", "", "Explainer", "Removal", "Score", "Interval", "Scored")
    rows = [
        tuple(
            map(
                escape,
                (
                    row.model,
                    row.metric,
                    row.arrow,
                    row.explainer,
                    row.removal,
                    row.score,
                    row.interval,
                    f"{row.scored} {row.undefined}".strip(),
                ),
            )
        )
        for row in result_rows(report)
    ]
    return _table(heads, rows)


def _facts(report: Report, classes: ClassNames) -> list[str]:
    facts = [
        f"- Explained: {escape(target_text(report.evaluation.spec.target, classes.names))}",
        f"- Model: {escape(model_line(report))}",
        f"- Images: {escape(sampling_text(report))}",
        f"- Preprocessing: {escape(preprocessing_text(report.evaluation.spec.preprocessing))}",
    ]
    facts += [
        f"- Class output of {escape(model)}: {escape(text)}"
        for model, text in class_output_rows(report)
    ]
    facts += [
        f"- Clean accuracy of {escape(model)}: {accuracy} ({labelled} images labelled)"
        for model, accuracy, labelled in accuracy_rows(report)
    ]
    return facts


def _clean(report: Report, classes: ClassNames) -> list[str]:
    rows = clean_rows(report, classes)
    cells = [
        tuple(map(escape, (row.image, row.model, f"{row.top} {row.probability}", row.label)))
        for row in rows[:LISTED_IMAGES]
    ]
    more = (
        [f"\n{len(rows) - LISTED_IMAGES} more are not listed."] if len(rows) > LISTED_IMAGES else []
    )
    return [
        "<details><summary>Clean predictions</summary>",
        "",
        *_table(("Image", "Model", "Top class", "Label"), cells),
        *more,
        "",
        "</details>",
    ]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def escape(text: str) -> str:
    """Takes the meaning off whatever Markdown, HTML or a mention would read in a name."""
    return _SPECIAL.sub(r"\\\1", html.escape(" ".join(text.split()), quote=False))
