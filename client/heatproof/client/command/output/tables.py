"""Tables of results on a terminal."""

from collections.abc import Iterable
from typing import Final

from rich import box
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from heatproof.client.command.output.console import out
from heatproof.client.documents.results import GateReport, Report
from heatproof.client.report.rows import (
    ABSENT,
    CheckRow,
    ClassNames,
    accuracy_rows,
    check_rows,
    class_output_rows,
    clean_rows,
    preprocessing_text,
    result_rows,
    sampling_text,
    tally,
    verdict_line,
    warning_lines,
)

COLOURS: Final = {"good": "green", "bad": "bold red", "warning": "yellow", "quiet": "dim"}
"""Colours of outcomes by their tone."""

CLEAN_ROWS: Final = 20
"""Images whose clean answer is listed; the reports list more."""


def show_report(report: Report, classes: ClassNames) -> None:
    """Prints warnings, how images and answers were read, the clean answers and the scores."""
    for warning in warning_lines(report):
        out.print(Text(f"WARNING {warning}", style="bold yellow"))
    _show_clean(report, classes)
    preprocessing = preprocessing_text(report.evaluation.spec.preprocessing)
    out.print(f"preprocessing: {escape(preprocessing)}")
    out.print(f"images: {sampling_text(report)}")
    for model, text in class_output_rows(report):
        out.print(f"class output of {escape(model)}: {escape(text)}")
    for model, accuracy, labelled in accuracy_rows(report):
        out.print(f"clean accuracy of {escape(model)}: {accuracy} ({labelled} images labelled)")
    if not isinstance(report, GateReport):
        _show_results(report)


def show_verdict(report: GateReport) -> None:
    """Prints the checks, the warnings and, last, the verdict."""
    rows = check_rows(report)
    _show_checks(rows)
    for row in rows:
        if row.outcome != "pass":
            text = f"{row.outcome}: {row.subject}: {row.message}"
            out.print(Text(text, style=COLOURS[row.tone]))
    for warning in warning_lines(report):
        out.print(Text(f"warning: {warning}", style="yellow"))
    style = "bold green" if report.passed else "bold red"
    out.print(Text(f"{verdict_line(report)}: {tally(rows)}", style=style))


def table(*heads: str, right: Iterable[str] = ()) -> Table:
    """An empty table; the columns of `right` hold numbers."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        made.add_column(head, justify="right" if head in right else "left", overflow="fold")
    return made


def _show_checks(rows: Iterable[CheckRow]) -> None:
    made = table("check", "score", "interval", "bound", "outcome", right=("score", "interval"))
    for row in rows:
        score = row.result.score if row.result else ABSENT
        outcome = row.outcome if row.severity == "fail" else f"{row.outcome} (warns only)"
        cells = (escape(cell) for cell in (row.subject, score, row.interval, row.bound))
        made.add_row(*cells, Text(outcome, style=COLOURS[row.tone]))
    out.print(made)


def _show_results(report: Report) -> None:
    made = table(
        *("model", "metric", "", "explainer", "removal", "score", "interval", "scored"),
        right=("score", "interval", "scored"),
    )
    for row in result_rows(report):
        scored = f"{row.scored} {row.undefined}".strip()
        cells = (row.model, row.metric, row.arrow, row.explainer, row.removal, row.score)
        made.add_row(*map(escape, (*cells, row.interval, scored)))
    out.print(made)


def _show_clean(report: Report, classes: ClassNames) -> None:
    rows = clean_rows(report, classes)
    several = len(report.models) > 1
    made = table("image", *(["model"] if several else []), "top class", "", "label", right=("",))
    for row in rows[:CLEAN_ROWS]:
        style = "red" if row.right is False else ""
        of_model = (row.model,) if several else ()
        cells = (row.image, *of_model, row.top, row.probability, row.label)
        made.add_row(*map(escape, cells), style=style)
    out.print(made)
    if len(rows) > CLEAN_ROWS:
        out.print(f"{len(rows) - CLEAN_ROWS} more clean answers are in the reports")
