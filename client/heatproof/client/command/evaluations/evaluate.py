"""`heatproof evaluate`: scores without a policy."""

from dataclasses import dataclass, field
from typing import Annotated, TypedDict

import typer

from heatproof.client.clients.flows.evaluations import (
    EvaluationQuestion,
    ExplainerSource,
    MetricSource,
    RemovalSource,
)
from heatproof.client.command.options import shared
from heatproof.client.command.options.computing import ComputingOptions
from heatproof.client.command.options.files import ReportOptions
from heatproof.client.command.options.groups import grouped
from heatproof.client.command.options.sampling import SamplingOptions
from heatproof.client.command.output.console import out, progress_shown
from heatproof.client.command.output.tables import show_estimate, show_report, show_results
from heatproof.client.documents.model_files import ModelSource
from heatproof.client.documents.reading.choices import choice
from heatproof.client.errors import UsageError
from heatproof.client.report.content import Content


class EvaluateChoices(TypedDict):
    """What is scored, for the client."""

    metrics: list[MetricSource]
    explainers: list[ExplainerSource]
    removals: list[RemovalSource]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions(shared.ModelsOptions):
    """What is scored, and how."""

    metric: Annotated[
        list[str],
        typer.Option(help="Metric: name or name:key=value,...; may be repeated."),
    ]
    explainer: Annotated[list[str], typer.Option(help="Explainer, likewise; may be repeated.")] = (
        field(default_factory=list)
    )
    removal: Annotated[
        list[str], typer.Option(help="Removal operator, likewise; may be repeated.")
    ] = field(default_factory=list)
    detach: Annotated[
        bool,
        typer.Option(
            "--detach",
            help="Print the name of the evaluation and end, while the server works on it; "
            "`heatproof evaluations watch NAME` comes back to it. Needs --server.",
        ),
    ] = False
    estimate: Annotated[
        bool,
        typer.Option(
            "--estimate", help="Say what would be scored and what that costs, and run nothing."
        ),
    ] = False

    def choices(self) -> EvaluateChoices:
        """What is scored, for the client."""
        return EvaluateChoices(
            metrics=[choice(text) for text in self.metric],
            explainers=[choice(text) for text in self.explainer],
            removals=[choice(text) for text in self.removal],
        )

    def require_sense(self, reports: ReportOptions, server: shared.ServerOptions) -> None:
        """Makes sure that the options go together.

        Raises:
            UsageError: they do not.
        """
        self.stated_preprocessing()
        if not (self.detach or self.estimate):
            return
        if self.detach and self.estimate:
            raise UsageError("--detach and --estimate exclude each other: leave one of them out")
        option = "--detach" if self.detach else "--estimate"
        if any(path is not None for path in reports.files()):
            raise UsageError(f"{option} has no results to report: leave the report files out")
        if self.detach and server.server is None:
            raise UsageError("--detach needs --server: a server of this command ends with it")


@grouped
def evaluate(
    question: EvaluateOptions,
    computing: ComputingOptions,
    sample: SamplingOptions,
    stated: shared.StatedOptions,
    known: shared.KnownOptions,
    *,
    reports: ReportOptions,
    server: shared.ServerOptions,
) -> None:
    """Score the explanations of one or more models."""
    question.require_sense(reports, server)
    classes = reports.prepare()
    with server.connected() as client, progress_shown() as on_progress:
        asked = EvaluationQuestion(
            **question.choices(),
            on_progress=on_progress,
            **computing.computed(),
            **sample.sampled(),
            **question.asked_by(classes.names),
            keep_overlays=reports.wants_overlays,
            compare=False,
            assess=False,
            example=None,
            timeout=None,
            **stated.statement(),
            **known.annotations(),
        )
        models: list[ModelSource] = [*question.model]
        if question.detach:
            out.print(client.submit(models, question.images, **asked).name)
            return
        if question.estimate:
            show_estimate(client.estimate(models, question.images, **asked))
            return
        report = client.evaluate(models, question.images, **asked)
    content = Content.of(report, classes)
    show_report(content)
    show_results(content)
    reports.write(content)
