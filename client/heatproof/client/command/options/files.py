"""Files that a subcommand writes its report to."""

import errno
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, Final

import typer

from heatproof.client.documents import recordings
from heatproof.client.documents.reading.baseline_names import updated_baseline
from heatproof.client.errors import UsageError
from heatproof.client.extras import required
from heatproof.client.report import html, junit, markdown
from heatproof.client.report.checks import Judgement
from heatproof.client.report.comparison import html as comparison_html
from heatproof.client.report.comparison import markdown as comparison_markdown
from heatproof.client.report.comparison.content import ComparisonContent
from heatproof.client.report.content import Content
from heatproof.client.report.failures import Failure
from heatproof.client.report.reliability import html as reliability_html
from heatproof.client.report.reliability import markdown as reliability_markdown
from heatproof.client.report.reliability.content import ReliabilityContent
from heatproof.client.report.rows import ClassNames
from heatproof.client.tracking import metrics_file

REPORTS = "Reports"

STANDARD_OUTPUT: Final = Path("-")
"""Stands for standard output where an option takes that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """Reports of an evaluation."""

    classes: Annotated[
        Path | None,
        typer.Option(
            help="File with the names of the classes, one a line, to show them by.",
            rich_help_panel=REPORTS,
        ),
    ] = None
    json: Annotated[
        Path | None,
        typer.Option("--json", help="Write the whole report as JSON.", rich_help_panel=REPORTS),
    ] = None
    markdown: Annotated[
        Path | None,
        typer.Option(
            "--markdown", help="Write Markdown, as for a pull request.", rich_help_panel=REPORTS
        ),
    ] = None
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write one HTML page.", rich_help_panel=REPORTS),
    ] = None

    @property
    def wants_overlays(self) -> bool:
        """Whether a report shows maps over their images."""
        return self.html is not None

    def prepare(self, *, prints: bool = False) -> ClassNames:
        """Finds out before the work whether the reports can be written after it.

        Args:
            prints: whether `--json -` stands for standard output.

        Raises:
            MissingExtraError: the HTML page needs a package that is missing.
            UsageError: the names of the classes cannot be read, a report cannot be written, `-` is
                given where nothing is printed, or two have one file.
        """
        if self.html is not None:
            required("jinja2", extra="report")
        is_printed = prints and self.json == STANDARD_OUTPUT
        _require_reports(path for path in self.files() if not (is_printed and path is self.json))
        return class_names(self.classes)

    def files(self) -> tuple[Path | None, ...]:
        """Where every report goes; None for those that were not asked for."""
        return (self.json, self.markdown, self.html)

    def write(self, content: Content, judged: Judgement | None = None) -> None:
        """Writes the reports that were asked for."""
        written(self.json, lambda path: recordings.write(content.report, path))
        written(self.markdown, lambda path: markdown.write(content, judged, path))
        written(self.html, lambda path: html.write(content, judged, path))

    def write_comparison(self, comparison: ComparisonContent) -> None:
        """Writes the reports of a comparison that were asked for."""
        written(self.json, lambda path: _write_comparison(comparison, path))
        written(self.markdown, lambda path: comparison_markdown.write(comparison, path))
        written(self.html, lambda path: comparison_html.write(comparison, path))

    def write_reliability(self, reliability: ReliabilityContent) -> None:
        """Writes the reports of which metrics deserve trust that were asked for."""
        written(self.json, lambda path: _write_reliability(reliability, path))
        written(self.markdown, lambda path: reliability_markdown.write(reliability, path))
        written(self.html, lambda path: reliability_html.write(reliability, path))


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReportOptions(ReportOptions):
    """Reports of a gate."""

    junit: Annotated[
        Path | None,
        typer.Option("--junit", help="Write JUnit XML.", rich_help_panel=REPORTS),
    ] = None
    metrics: Annotated[
        Path | None,
        typer.Option(
            "--metrics",
            help="Write scores, intervals and the verdict as numbers, for `dvc metrics`.",
            rich_help_panel=REPORTS,
        ),
    ] = None
    update_baseline: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|NAME",
            help="Write the scores as the baseline of later gates to a .json file; or, if the "
            "model may ship, set the baseline of this name on the server.",
            rich_help_panel=REPORTS,
        ),
    ] = None

    @property
    def baseline_name(self) -> str | None:
        """The baseline of a server that is to be set, `baselines/...`."""
        return updated_baseline(self.update_baseline)

    @property
    def baseline_file(self) -> Path | None:
        """The file that is to be written as a baseline."""
        return None if self.baseline_name else self.update_baseline

    def files(self) -> tuple[Path | None, ...]:
        """As `ReportOptions.files`, with the files of a gate."""
        return (*ReportOptions.files(self), self.junit, self.metrics, self.baseline_file)

    def described(self) -> tuple[tuple[str, Path, str], ...]:
        """The reports that were asked for: option, file, and what it would hold."""
        held = (
            ("--json", self.json, "policy, scores of all images with curves, verdict"),
            ("--junit", self.junit, "a test case for each check"),
            ("--metrics", self.metrics, "scores, intervals and verdict as numbers"),
            ("--markdown", self.markdown, "verdict and scores for a pull request"),
            ("--html", self.html, "the same as one page, with the maps over the images"),
            ("--update-baseline", self.baseline_file, "scores that later gates compare with"),
        )
        wanted = [(option, path, text) for option, path, text in held if path is not None]
        return tuple(one for one in wanted if one[1] != STANDARD_OUTPUT)

    def write_gate(self, content: Content, judged: Judgement) -> None:
        """As `write`, with the files of a gate."""
        self.write(content, judged)
        written(self.junit, lambda path: junit.write(content, judged, path))
        written(self.metrics, lambda path: metrics_file.write(judged.report, path))
        written(self.baseline_file, lambda path: recordings.write_baseline(judged.report, path))

    def write_failure(self, failure: Failure, content: Content | None = None) -> None:
        """Writes why there is no verdict to the reports that were asked for, but to no baseline."""
        report = None if content is None else content.report
        written(self.json, lambda path: recordings.write_reason(failure.told, report, path))
        written(self.markdown, lambda path: markdown.write(content, failure, path))
        written(self.html, lambda path: html.write(content, failure, path))
        written(self.junit, lambda path: junit.write(content, failure, path))


def _write_comparison(comparison: ComparisonContent, path: Path) -> None:
    report, reference = comparison.content.report, comparison.reference
    recordings.write_comparison(report, comparison.comparisons, reference, path)


def _write_reliability(reliability: ReliabilityContent, path: Path) -> None:
    report = reliability.content.report
    recordings.write_reliabilities(report, reliability.reliabilities, path)


def _require_reports(paths: Iterable[Path | None]) -> None:
    """Makes sure that reports can be written later, none over another.

    Raises:
        UsageError: as `require_writable`, or two have one file.
    """
    seen: set[Path] = set()
    for path in paths:
        require_writable(path)
        if path is None or (path.exists() and not path.is_file()):  # a device takes several
            continue
        if path.resolve() in seen:
            raise UsageError(f"two reports would be written to {path}: give each its own file")
        seen.add(path.resolve())


def require_writable(path: Path | None) -> None:
    """Makes sure that a file can be written later; leaves nothing behind.

    Raises:
        UsageError: it is a folder, may not be written, or its folder does not exist or takes no
            files.
    """
    if path is None:
        return
    if path == STANDARD_OUTPUT:
        raise UsageError("reports are not printed: name a file in the place of -")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise UsageError(f"cannot write {path}: folder {path.parent} does not exist")
    if path.is_dir():
        raise UsageError(f"cannot write {path}: it is a folder; name a file")
    if path.exists():
        if not os.access(path, os.W_OK):
            raise UsageError(f"cannot write {path}: {os.strerror(errno.EACCES)}")
        return
    try:  # permissions do not tell whether its file system is read only
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def written(path: Path | None, write: Callable[[Path], None]) -> None:
    """Writes a report if it was asked for.

    Raises:
        UsageError: the file cannot be written.
    """
    if path is None:
        return
    try:
        write(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def class_names(path: Path | None) -> ClassNames:
    """Reads the names of the classes.

    Raises:
        UsageError: the file cannot be read.
    """
    if path is None:
        return ClassNames()
    try:
        return ClassNames(path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read class names {path}: {error}") from error
