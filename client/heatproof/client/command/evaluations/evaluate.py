"""`heatproof evaluate`: scores without a policy."""

from dataclasses import dataclass, field
from typing import Annotated

import typer

from heatproof.client.clients.flows.evaluations import JudgeOptions
from heatproof.client.command.options import shared
from heatproof.client.command.options.choices import choice
from heatproof.client.command.options.files import ReportOptions
from heatproof.client.command.options.groups import grouped
from heatproof.client.command.output.console import progress_shown
from heatproof.client.command.output.tables import show_report, show_results
from heatproof.client.documents.policies import NO_PREPROCESSING
from heatproof.client.errors import UsageError
from heatproof.client.report.content import Content


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions:
    """What is scored, and how."""

    model: Annotated[
        list[str],
        typer.Option(help="Path of an .onnx file, or a name models/...; may be repeated."),
    ]
    images: shared.Images
    metric: Annotated[
        list[str],
        typer.Option(help="Metric: name or name:key=value,...; may be repeated."),
    ]
    preprocessing: shared.Preprocessing = None
    explainer: Annotated[list[str], typer.Option(help="Explainer, likewise; may be repeated.")] = (
        field(default_factory=list)
    )
    removal: Annotated[
        list[str], typer.Option(help="Removal operator, likewise; may be repeated.")
    ] = field(default_factory=list)
    evaluator_model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="The model that judges the maps where regions are hidden, such as one that was "
            "fine-tuned on images with hidden regions; by default each model judges its own.",
        ),
    ] = None
    target: shared.TargetOption = None
    seed: shared.Seed = 0

    def judged(self) -> JudgeOptions:
        """By which model, for the client."""
        if self.evaluator_model is None:
            return {}
        return {"evaluator_model": self.evaluator_model}


@grouped
def evaluate(
    question: EvaluateOptions,
    stated: shared.StatedOptions,
    known: shared.KnownOptions,
    reports: ReportOptions,
    server: shared.ServerOptions,
) -> None:
    """Score the explanations of one or more models."""
    if question.preprocessing is None:
        raise UsageError(NO_PREPROCESSING)
    classes = reports.prepare()
    with server.connected() as client, progress_shown() as on_progress:
        report = client.evaluate(
            list(question.model),
            question.images,
            preprocessing=question.preprocessing,
            metrics=[choice(text) for text in question.metric],
            explainers=[choice(text) for text in question.explainer],
            removals=[choice(text) for text in question.removal],
            on_progress=on_progress,
            **question.judged(),
            **shared.targeted(question.target, classes.names),
            seed=question.seed,
            keep_overlays=reports.wants_overlays,
            **stated.statement(),
            **known.annotations(),
        )
    content = Content.of(report, classes)
    show_report(content)
    show_results(content)
    reports.write(content)
