"""Tables of results on a terminal."""

from collections.abc import Iterable, Sequence
from typing import Final

from rich import box
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from heatproof.client.command.output.console import out
from heatproof.client.documents.captions import Captions
from heatproof.client.documents.results.estimates import EvaluationEstimate
from heatproof.client.report.changes import (
    CHANGE_HEADS,
    CHANGE_NUMBERS,
    SETTING_HEADS,
    ChangeRow,
)
from heatproof.client.report.checks import CheckRow, Judgement
from heatproof.client.report.content import Content
from heatproof.client.report.numbers import ABSENT
from heatproof.client.report.rows import DISPARITY_HEADS

COLOURS: Final = {"good": "green", "bad": "bold red", "warning": "yellow", "quiet": "dim"}
"""Colours of outcomes by their tone."""

CLEAN_ROWS: Final = 20
"""Images whose clean answer is listed; the reports list more."""


PRECISION_ROWS: Final = 20
"""Classes whose average precision is listed, the lowest first."""


def show_report(content: Content) -> None:
    """Prints warnings, the clean answers, and how images and answers were read."""
    show_warnings(content)
    _show_clean(content)
    show_conditions(content)


def show_warnings(content: Content) -> None:
    """Prints what makes scores doubtful."""
    for warning in content.warnings:
        out.print(Text(f"WARNING {warning}", style="bold yellow"))


def show_conditions(content: Content) -> None:
    """Prints how images and answers were read, and clean accuracies."""
    out.print(f"preprocessing: {escape(content.preprocessing)}")
    out.print(f"images: {content.images}")
    if content.predictions:
        out.print(f"predictions: {content.predictions}")
    for model, text in content.class_outputs:
        out.print(f"class output of {escape(model)}: {escape(text)}")
    for model, accuracy in content.accuracies:
        out.print(escape(f"{content.accuracy_name} of {model}: {accuracy}"))
    _show_precisions(content)


def show_results(content: Content) -> None:
    """Prints the scores."""
    made = table(
        *("model", "metric", "", "explainer", "removal", "score", "interval", "scored"),
        right=("score", "interval", "scored"),
    )
    for row in content.results:
        scored = f"{row.scored} {row.undefined}".strip()
        cells = (row.model, row.metric, row.arrow, row.explainer, row.removal, row.score)
        made.add_row(*map(escape, (*cells, row.interval, scored)))
    out.print(made)
    show_disparities(content)


def show_estimate(estimate: EvaluationEstimate) -> None:
    """Prints what an evaluation would score, and what that costs."""
    captions = Captions.of(estimate.models, estimate.planned)
    made = table("model", "metric", "removal", "explainer")
    for result in estimate.planned:
        made.add_row(*map(escape, captions.row(result).values()))
    out.print(made)
    out.print(str(estimate))


def show_disparities(content: Content) -> None:
    """Prints the worst groups of images against the best, where images have groups."""
    if not content.disparities:
        return
    made = table(*DISPARITY_HEADS, right=("disparity", "interval"))
    for row in content.disparities:
        made.add_row(*map(escape, row.cells))
    out.print(made)


def show_verdict(content: Content, judged: Judgement) -> None:
    """Prints groups, the checks, the warnings and, last, the verdict."""
    show_disparities(content)
    _show_checks(judged.checks)
    _show_changes(judged.changes)
    _show_settings(judged)
    for row in judged.checks:
        if row.outcome != "pass":
            text = f"{row.outcome}: {row.subject}: {row.message}"
            out.print(Text(text, style=COLOURS[row.tone]))
    for warning in content.warnings:
        out.print(Text(f"warning: {warning}", style="yellow"))
    style = "bold green" if judged.report.passed else "bold red"
    out.print(Text(f"{judged.line}: {judged.tally}", style=style))


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


def _show_changes(rows: Sequence[ChangeRow]) -> None:
    """Prints what changed against the baseline; nothing without one."""
    if not rows:
        return
    made = table(*CHANGE_HEADS, "worst image", right=CHANGE_NUMBERS)
    for row in rows:
        cells = map(escape, row.cells[:-1])
        worst = f"{row.worst[0].image} ({row.worst[0].drop} worse)" if row.worst else ""
        made.add_row(*cells, Text(row.reading, style=COLOURS[row.tone]), escape(worst))
    out.print(made)


def _show_settings(judged: Judgement) -> None:
    """Prints what else differs from the baseline; nothing without one."""
    if not judged.settings:
        return
    out.print(f"what else differs from {escape(judged.baseline or 'the baseline')}:")
    made = table(*SETTING_HEADS)
    for row in judged.settings:
        made.add_row(*map(escape, row.cells))
    out.print(made)


def _show_precisions(content: Content) -> None:
    rows = content.precisions
    if not rows:
        return
    models = [content.captions.model(model.name) for model in content.report.models]
    names = [escape(name) for name in models] if content.several_models else ["average precision"]
    made = table("class", "images", *names, right=("images", *names))
    for row in rows[:PRECISION_ROWS]:
        made.add_row(escape(row.name), str(row.images), *row.values)
    out.print(made)
    if len(rows) > PRECISION_ROWS:
        out.print(
            f"{len(rows) - PRECISION_ROWS} classes of higher average precision are in the reports"
        )


def _show_clean(content: Content) -> None:
    rows, several = content.clean, content.several_models
    made = table("image", *(["model"] if several else []), "top class", "", "label", right=("",))
    for row in rows[:CLEAN_ROWS]:
        style = "red" if row.right is False else ""
        of_model = (row.model,) if several else ()
        cells = (row.image, *of_model, row.top, row.probability, row.label)
        made.add_row(*map(escape, cells), style=style)
    out.print(made)
    if len(rows) > CLEAN_ROWS:
        out.print(f"{len(rows) - CLEAN_ROWS} more clean answers are in the reports")
