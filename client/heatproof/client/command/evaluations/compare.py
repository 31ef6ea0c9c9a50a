"""`heatproof compare`: models side by side, with what tells them apart."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Annotated, Final, TypedDict

import typer

from heatproof.client.clients.flows.evaluations import (
    ExplainerSource,
    MetricSource,
    RemovalSource,
)
from heatproof.client.command.options import shared
from heatproof.client.command.options.computing import ComputingOptions
from heatproof.client.command.options.files import ReportOptions
from heatproof.client.command.options.groups import grouped
from heatproof.client.command.options.panels import LAYER_CELL, Panel, require_several
from heatproof.client.command.options.sampling import SamplingOptions
from heatproof.client.command.output.comparison import show_comparison
from heatproof.client.command.output.console import note, progress_shown
from heatproof.client.documents.reading.choices import choice
from heatproof.client.errors import UsageError
from heatproof.client.report.comparison.content import ComparisonContent
from heatproof.v1.catalog_service_pb2 import Catalog

CONSISTENCY: Final = "explanation_consistency"

METRICS: Final = (
    "occlusion_corrected_deletion",
    "inter_model_deletion",
    "occlusion_robustness",
    CONSISTENCY,
)
"""What models are compared by if nothing else is said."""

CONTROLS: Final = ("random", "centre")
"""Explainers that know nothing of the model: they show what a value is worth."""

METRIC_CELLS: Final = 14
"""Cells a side of the metrics' grids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedOptions(shared.ImagesOptions):
    """What is compared, and how."""

    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...", help="Paths of .onnx files, or names models/sha256-...; 2 to 16."
        ),
    ]
    metric: Annotated[
        list[str],
        typer.Option(
            help="Metric: name or name:key=value,...; may be repeated. By default "
            f"{', '.join(METRICS)}."
        ),
    ] = field(default_factory=list)
    explainer: Annotated[
        list[str],
        typer.Option(
            help="Explainer, likewise; grad_cam by default. The controls random and centre are "
            "always added."
        ),
    ] = field(default_factory=list)
    removal: Annotated[
        list[str],
        typer.Option(
            help="Removal operator, likewise; by default layer where every model allows it and "
            f"images have {METRIC_CELLS * LAYER_CELL} pixels a side, else blur."
        ),
    ] = field(default_factory=list)
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="One of the models, which the others are held against; all pairs by default.",
        ),
    ] = None


class Choices(TypedDict):
    """By what models are compared, for the client."""

    metrics: list[MetricSource]
    explainers: list[ExplainerSource]
    removals: list[RemovalSource]


@grouped
def compare(
    question: ComparedOptions,
    computing: ComputingOptions,
    sample: SamplingOptions,
    stated: shared.StatedOptions,
    known: shared.KnownOptions,
    *,
    reports: ReportOptions,
    server: shared.ServerOptions,
) -> None:
    """Compare the explanations of models, with paired intervals and corrected tests."""
    question.stated_preprocessing()
    require_several(question.models)
    classes = reports.prepare()
    with server.connected() as client, progress_shown() as on_progress:
        panel = Panel.of(
            client, question.models, stated.statement(), on_progress, computing.evaluator_model
        )
        reference = panel.resolved(question.reference) if question.reference else ""
        choices = _choices(panel, question, client.catalog(), has_masks=known.masks is not None)
        with panel.errors_named():
            report = client.evaluate(
                list(panel.names),
                question.images,
                compare=True,
                on_progress=on_progress,
                **choices,
                **computing.computed(),
                **sample.sampled(),
                **question.asked_by(classes.names),
                keep_overlays=reports.wants_overlays,
                **stated.statement(),
                **known.annotations(),
            )
            found = client.compare_models(report, reference=reference)
    named = replace(report, models=panel.models)
    content = ComparisonContent.of(named, found.comparisons, classes, reference=reference)
    show_comparison(content)
    reports.write_comparison(content)


def _choices(
    panel: Panel, question: ComparedOptions, catalog: Catalog, *, has_masks: bool
) -> Choices:
    """By what these models are compared; what was not asked for is said."""
    metrics = question.metric or _metrics(panel, has_masks=has_masks)
    needs = _needs(metrics, catalog)
    explainers, removals = list(question.explainer), list(question.removal)
    if "attribution" in needs and not explainers:
        explainers = [panel.usual_explainer()]
    if "removal" in needs and not removals:
        removals = [panel.usual_removal(METRIC_CELLS)]
    controls = [name for name in CONTROLS if explainers and name not in explainers]
    note(f"metrics: {', '.join(metrics)}")
    note(
        f"explainers: {', '.join(explainers) or 'none'}; controls: {', '.join(controls) or 'none'}"
    )
    note(f"removal operators: {', '.join(removals) or 'none'}")
    return Choices(
        metrics=[choice(text) for text in metrics],
        explainers=[choice(text) for text in (*explainers, *controls)],
        removals=[choice(text) for text in removals],
    )


def _needs(metrics: Iterable[str], catalog: Catalog) -> set[str]:
    """What some of the metrics need; the server tells what it does not list."""
    names = {name for text in metrics for name in choice(text)}
    return {need for entry in catalog.metrics if entry.name in names for need in entry.needs}


def _metrics(panel: Panel, *, has_masks: bool) -> list[str]:
    """Those of the usual metrics that every model allows.

    Raises:
        UsageError: there is none.
    """
    obstacles = {name: panel.obstacle("metrics", name) for name in METRICS}
    if not has_masks:  # maps of all models are laid over each other
        obstacles[CONSISTENCY] = obstacles[CONSISTENCY] or panel.differing_sizes()
    usual = [name for name, obstacle in obstacles.items() if obstacle is None]
    if not usual:
        why = "; ".join(dict.fromkeys(filter(None, obstacles.values())))
        raise UsageError(
            f"none of the usual metrics fits all models: {why} -- leave a model out, or name "
            "another --metric"
        )
    for name, obstacle in obstacles.items():
        if obstacle is not None:
            note(f"{name} is left out: {obstacle}")
    background = f"background={'object' if has_masks else 'shared'}"
    return [f"{name}:{background}" if name == CONSISTENCY else name for name in usual]
