"""What a report can do for whoever holds it."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from heatproof.client.documents.presenting import Plots
from heatproof.client.documents.results import GateReport, Report
from heatproof.client.errors import UsageError
from heatproof.client.presentation import saving
from heatproof.client.presentation.plots import ReportPlots
from heatproof.client.report import html as pages
from heatproof.client.report import junit, markdown
from heatproof.client.report.checks import Judgement
from heatproof.client.report.content import Content
from heatproof.client.report.rows import ClassNames, ResultRow

SCORE_HEADS: Final = ("model", "metric", "", "explainer", "removal", "score", "interval", "scored")


class ReportPresenter:
    """Presents reports by the renderers of the command."""

    def html(self, report: object, class_names: Sequence[str]) -> str:
        """As `Presenter.html`."""
        content, judged = _worded(report, class_names)
        return pages.render(content, judged)

    def markdown(self, report: object, class_names: Sequence[str]) -> str:
        """As `Presenter.markdown`."""
        content, judged = _worded(report, class_names)
        return markdown.render(content, judged)

    def junit(self, report: object, class_names: Sequence[str]) -> str:
        """As `Presenter.junit`.

        Raises:
            UsageError: the report has no verdict.
        """
        content, judged = _worded(report, class_names)
        if judged is None:
            raise UsageError("JUnit has a case a check: it is of a report of `gate` alone")
        return junit.render(content, judged)

    def summary(self, report: object) -> str:
        """As `Presenter.summary`."""
        content, judged = _worded(report, ())
        verdict = f"{judged.line}: {judged.tally}" if judged else ""
        line = f"<p><b>{html.escape(verdict)}</b></p>" if verdict else ""
        rows = [_cells(row) for row in content.results]
        return line + _table(SCORE_HEADS, rows)

    def save(self, report: object, path: Path) -> None:
        """As `Presenter.save`."""
        saving.save(_report(report), path)

    def load(self, path: Path) -> Report:
        """As `Presenter.load`."""
        return saving.load(path)

    def plots(self, report: object) -> Plots:
        """As `Presenter.plots`."""
        return ReportPlots(_report(report))


def _report(report: object) -> Report:
    assert isinstance(report, Report)  # noqa: S101  # only reports ask
    return report


def _worded(report: object, class_names: Sequence[str]) -> tuple[Content, Judgement | None]:
    held = _report(report)
    content = Content.of(held, ClassNames(class_names))
    judged = Judgement.of(held, content) if isinstance(held, GateReport) else None
    return content, judged


def _cells(row: ResultRow) -> tuple[str, ...]:
    told = (row.model, row.metric, row.arrow, row.explainer, row.removal, row.score, row.interval)
    return (*told, row.scored)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in heads)
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


PRESENTER: Final = ReportPresenter()
