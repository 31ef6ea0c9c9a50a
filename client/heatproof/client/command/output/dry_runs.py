"""What a gate would do, on a terminal or as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from rich.markup import escape
from rich.text import Text

from heatproof.client.command.output.console import out
from heatproof.client.command.output.gate_plans import GatePlan
from heatproof.client.command.output.tables import table
from heatproof.client.documents.recordings import plain
from heatproof.client.documents.results.estimates import GateEstimate
from heatproof.client.version import __version__

COSTS: Final = ("predictions", "time")

PlannedReport: TypeAlias = tuple[str, Path, str]
"""A report that would be written: its option, its file, and what it would hold."""


def print_dry_run(
    estimate: GateEstimate, reports: Sequence[PlannedReport], *, has_baseline: bool
) -> None:
    """Prints what a gate would do as JSON, for programs."""
    plan = GatePlan.of(estimate, has_baseline=has_baseline)
    text = json.dumps(_document(estimate, plan, reports), indent=1)
    out.print(text, markup=False, soft_wrap=True)


def show_dry_run(
    estimate: GateEstimate, reports: Sequence[PlannedReport], *, has_baseline: bool
) -> None:
    """Prints what a gate would do as tables, for people."""
    plan = GatePlan.of(estimate, has_baseline=has_baseline)
    _show_conditions(plan)
    _show_scores(plan)
    _show_checks(plan)
    for option, path, content in reports:
        out.print(escape(f"would write {path} ({option}): {content}"))
    for warning in plan.warnings:
        out.print(Text(f"warning: {warning}", style="yellow"))
    out.print(f"time: {plan.time}")
    out.print(Text("dry run: the gate could run; nothing was judged", style="bold green"))


def _show_conditions(plan: GatePlan) -> None:
    out.print(f"preprocessing: {escape(plan.preprocessing)}")
    out.print(f"explained: {escape(plan.explained)}")
    out.print(f"images: {plan.images}")
    if plan.sequential:
        out.print(f"sequential: {plan.sequential}")
    for text in plan.class_outputs:
        out.print(f"class output: {escape(text)}")


def _show_scores(plan: GatePlan) -> None:
    made = table("model", "metric", "explainer", "removal", *COSTS, right=COSTS)
    for row in plan.scores:
        cells = (row.model, row.metric, row.explainer, row.removal, row.predictions, row.time)
        made.add_row(*map(escape, cells))
    made.add_row("all", "clean answers, emptied images and maps", "", "", *plan.shared)
    made.add_row("", "at most, in all", "", "", *plan.total, style="bold")
    out.print(made)


def _show_checks(plan: GatePlan) -> None:
    made = table("check", "bound", "severity", *COSTS, right=COSTS)
    for row in plan.checks:
        cells = (row.subject, row.bounds, row.severity, row.predictions, row.time)
        made.add_row(*map(escape, cells))
    out.print(made)


def _document(
    estimate: GateEstimate, plan: GatePlan, reports: Sequence[PlannedReport]
) -> dict[str, Any]:
    found = estimate.evaluation
    return {
        "heatproof": __version__,
        "images": found.images,
        "sampling": plain(found.sampling),
        "predictions": found.predictions,
        "shared_predictions": found.shared_predictions,
        "seconds": found.seconds,
        "tried_units": found.tried_units,
        "results": found.rows,
        "check_predictions": [estimate.predictions_of(one) for one in estimate.policy.checks],
        "policy": plain(estimate.policy),
        "spec": plain(found.spec),
        "class_outputs": [plain(held) for held in found.class_outputs],
        "checks_at_the_end": {str(n): why for n, why in found.checks_at_the_end.items()},
        "warnings": list(plan.warnings),
        "reports": [{"option": option, "path": str(path)} for option, path, _ in reports],
    }
