"""`heatproof sanity`: which scores deserve trust on a model and its images."""

from dataclasses import dataclass, field, replace
from typing import Annotated, Final, TypeAlias

import typer

from heatproof.client.command.options import shared
from heatproof.client.command.options.computing import ComputingOptions
from heatproof.client.command.options.files import ReportOptions
from heatproof.client.command.options.groups import grouped
from heatproof.client.command.options.panels import Panel
from heatproof.client.command.options.sampling import SamplingOptions
from heatproof.client.command.output.console import note, progress_shown
from heatproof.client.command.output.reliability import show_reliability
from heatproof.client.documents.reading.choices import choice
from heatproof.client.report.reliability.content import ReliabilityContent

Choice: TypeAlias = dict[str, dict[str, object]]

USUAL_METRICS: Final = ("deletion", "insertion", "occlusion_corrected_deletion", "sensitivity_n")
"""What is tested if nothing else is said."""

USUAL_EXPLAINERS: Final = ("saliency", "grad_cam", "integrated_gradients")
"""Whose maps are rated if nothing else is said, where the model allows them."""

ADDED_CONTROLS: Final = ("random", "centre", "edges")
"""Maps that know nothing of the model."""

USUAL_REMOVALS: Final = ("blur",)
"""How regions are hidden if nothing else is said."""

CELLS: Final = 14
"""Cells a side that the model's own answers are asked about, as the metrics' grids have."""


GRID: Final[dict[str, object]] = {"grid": {"side": 7}}
"""What is hidden together where they are asked about many cells at once."""

SAMPLES: Final = 500
"""How often that is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SanityOptions(shared.ModelsOptions):
    """Which metrics are tested, and on what."""

    metric: Annotated[
        list[str],
        typer.Option(
            help="Metric: name or name:key=value,...; may be repeated. By default "
            f"{', '.join(USUAL_METRICS)}."
        ),
    ] = field(default_factory=list)
    explainer: Annotated[
        list[str],
        typer.Option(
            help="Explainer to rate, likewise; by default those of "
            f"{', '.join(USUAL_EXPLAINERS)} that the model allows. The controls "
            f"{', '.join(ADDED_CONTROLS)}, each explainer's map with noise, and the model's own "
            "answers are always added."
        ),
    ] = field(default_factory=list)
    removal: Annotated[
        list[str], typer.Option(help=f"Removal operator, likewise; by default {USUAL_REMOVALS[0]}.")
    ] = field(default_factory=list)


@grouped
def sanity(
    question: SanityOptions,
    computing: ComputingOptions,
    sample: SamplingOptions,
    stated: shared.StatedOptions,
    known: shared.KnownOptions,
    *,
    reports: ReportOptions,
    server: shared.ServerOptions,
) -> None:
    """Say which scores deserve trust on a model and its images."""
    question.stated_preprocessing()
    classes = reports.prepare()
    with server.connected() as client, progress_shown() as on_progress:
        panel = Panel.of(client, question.model, stated.statement(), on_progress)
        removals = [choice(text) for text in question.removal or USUAL_REMOVALS]
        explainers = _explainers(panel, question.explainer, removals)
        report = client.evaluate(
            list(panel.names),
            question.images,
            metrics=[choice(text) for text in question.metric or USUAL_METRICS],
            explainers=explainers,
            removals=removals,
            assess=True,
            on_progress=on_progress,
            **computing.computed(),
            **sample.sampled(),
            **question.asked_by(classes.names),
            **stated.statement(),
            **known.annotations(),
        )
        found = client.assess_metrics(report)
    named = replace(report, models=panel.models)
    content = ReliabilityContent.of(named, found.reliabilities, classes)
    show_reliability(content)
    reports.write_reliability(content)


def _explainers(panel: Panel, asked: list[str], removals: list[Choice]) -> list[Choice]:
    """What is rated: controls, explainers, their disturbed maps, and the model's own answers."""
    rated = [choice(text) for text in asked] or _usual(panel)
    controls: list[Choice] = [{name: {}} for name in ADDED_CONTROLS if {name: {}} not in rated]
    disturbed: list[Choice] = [
        {"disturbed": {"of": one}} for one in rated if not set(one) & {*ADDED_CONTROLS}
    ]
    side = max(1, panel.smallest_side // CELLS)
    oracles: list[Choice] = [
        oracle
        for removal in removals
        for oracle in (
            {"occlusion": {"patch": side, "stride": side, "removal": removal}},
            {"lime": {"regions": GRID, "samples": SAMPLES, "removal": removal}},
        )
    ]
    return [*controls, *rated, *disturbed, *oracles]


def _usual(panel: Panel) -> list[Choice]:
    """Those of the usual explainers that every model allows."""
    usual: list[Choice] = []
    for name in USUAL_EXPLAINERS:
        obstacle = panel.obstacle("explainers", name)
        if obstacle is None:
            usual.append({name: {}})
        else:
            note(f"{name} is left out: {obstacle}")
    return usual
