"""What a gate says to the CI that runs it, beside its reports."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final
from uuid import uuid4

import typer

from heatproof.client.command.options.files import REPORTS
from heatproof.client.command.output.console import note
from heatproof.client.forges import workflow_commands
from heatproof.client.forges.fitting import fitted
from heatproof.client.forges.policy_lines import PolicyLines
from heatproof.client.forges.workflow_commands import Annotation
from heatproof.client.report import markdown
from heatproof.client.report.checks import Judgement
from heatproof.client.report.content import Content
from heatproof.client.report.failures import Failure

SUMMARY_LIMIT: Final = 250_000
"""Characters of a step's summary: GitHub takes 1 MiB, and a character has four bytes at most."""


class Ci(StrEnum):
    """A CI that a gate speaks to."""

    GITHUB = "github"


@dataclass(frozen=True, slots=True, kw_only=True)
class CiOptions:
    """Which CI is spoken to."""

    ci: Annotated[
        Ci | None,
        typer.Option(
            "--ci",
            help="Speak to GitHub Actions too: an annotation a check that blocks or warns, at its "
            "line of the policy, and the Markdown as summary of the step.",
            rich_help_panel=REPORTS,
        ),
    ] = None

    @contextmanager
    def muted(self) -> Iterator[None]:
        """Keeps a CI from reading commands in what is printed, as names of images may look so."""
        if self.ci is None:
            yield
            return
        token = uuid4().hex
        typer.echo(workflow_commands.stopping(token))
        try:
            yield
        finally:
            typer.echo(workflow_commands.going_on(token))

    def tell_verdict(self, content: Content, judged: Judgement, policy: str) -> None:
        """Says a verdict, if a CI was named.

        Args:
            content: what was evaluated.
            judged: the verdict.
            policy: file or preset that it was made by.
        """
        if self.ci is None:
            return
        _annotate(workflow_commands.of_verdict(judged, _lines(policy)))
        _summarize(markdown.render(content, judged))

    def tell_failure(self, failure: Failure, content: Content | None, policy: str | None) -> None:
        """Says why there is no verdict, if a CI was named; the policy may be missing too."""
        if self.ci is None:
            return
        lines = None if policy is None else _lines(policy)
        _annotate([workflow_commands.of_failure(failure, lines)])
        _summarize(markdown.render(content, failure))

    def tell_error(self, error: Exception) -> None:
        """Says what went wrong after the verdict, which stands, if a CI was named."""
        if self.ci is not None:
            _annotate([workflow_commands.of_failure(Failure.of(error), None)])


def _lines(policy: str) -> PolicyLines | None:
    return PolicyLines.of(policy, Path(os.environ.get("GITHUB_WORKSPACE") or ".").resolve())


def _annotate(annotations: list[Annotation]) -> None:
    for annotation in annotations:
        typer.echo(annotation.command)  # a console might fold it


def _summarize(text: str) -> None:
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(fitted(text, SUMMARY_LIMIT))
    except OSError as error:  # what it says is said elsewhere too, and the verdict must stand
        note(f"cannot write the summary {path}: {error.strerror}")
