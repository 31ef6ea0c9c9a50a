"""`heatproof evaluations`: what a server works on and keeps."""

from typing import Annotated, Final

import typer
from rich.markup import escape

from heatproof.client.clients.connections.statuses import read_status
from heatproof.client.clients.handles import EvaluationHandle
from heatproof.client.clients.synchronous import Client
from heatproof.client.command.options import shared
from heatproof.client.command.options.files import ReportOptions
from heatproof.client.command.options.groups import grouped
from heatproof.client.command.output.console import note, out, progress_shown
from heatproof.client.command.output.tables import show_report, show_results, table
from heatproof.client.documents.captions import caption, short_digest
from heatproof.client.documents.results import Report
from heatproof.client.report.content import Content
from heatproof.client.report.rows import ClassNames
from heatproof.v1.evaluation_pb2 import Evaluation

app = typer.Typer(
    help="List, show, watch, cancel and delete the evaluations of a server.", no_args_is_help=True
)

NameArgument = Annotated[str, typer.Argument(help="The evaluation, evaluations/...")]

UNFINISHED: Final = frozenset({"queued", "running", "cancelling"})
"""States of evaluations that have not ended."""


@app.command("list")
@grouped
def list_evaluations(server: shared.ServerOptions) -> None:
    """List the evaluations, newest first."""
    server.require_server()
    with server.connected() as client:
        found = client.evaluations()
    made = table("evaluation", "created", "state", "images", "models", "metrics", right=("images",))
    for handle in found:
        made.add_row(*map(escape, _cells(handle)))
    out.print(made)


def _cells(handle: EvaluationHandle) -> tuple[str, ...]:
    message = handle.message
    created = message.create_time.ToDatetime().isoformat(" ", "minutes")
    at = message.progress
    models = ", ".join(map(short_digest, message.spec.models))
    metrics = ", ".join(caption(metric) for metric in message.spec.metrics)
    images = f"{at.images_done} of {at.images_total}"
    return handle.name, f"{created} UTC", handle.state, images, models, metrics


@app.command("show")
@grouped
def show_evaluation(
    name: NameArgument, reports: ReportOptions, server: shared.ServerOptions
) -> None:
    """Show where an evaluation stands and, once it has ended, its results.

    One that failed or was cancelled shows those of its finished images.
    """
    server.require_server()
    classes = reports.prepare()
    with server.connected() as client:
        handle = client.evaluation(name)
        if handle.state in UNFINISHED:
            out.print(escape(_standing(handle)))
            return
        report = handle.result(partial=True)
    _show(report, classes, reports)


@app.command("watch")
@grouped
def watch_evaluation(
    name: NameArgument, reports: ReportOptions, server: shared.ServerOptions
) -> None:
    """Follow an evaluation to its end, then show its results. Ctrl-C leaves it at work."""
    server.require_server()
    classes = reports.prepare()
    with server.connected() as client:
        report = _watched(client, name)
    _show(report, classes, reports)


def _watched(client: Client, name: str) -> Report:
    handle = client.evaluation(name)
    try:
        with progress_shown() as on_progress:
            return handle.result(on_progress)
    except KeyboardInterrupt as error:
        error.add_note(f"{name} goes on: watch it again, or end it with `evaluations cancel`")
        raise


@app.command("cancel")
@grouped
def cancel_evaluation(name: NameArgument, server: shared.ServerOptions) -> None:
    """Cancel an evaluation; the results of finished images are kept."""
    server.require_server()
    with server.connected() as client:
        handle = client.evaluation(name)
        handle.cancel()
    out.print(escape(_standing(handle)))


@app.command("delete")
@grouped
def delete_evaluation(name: NameArgument, server: shared.ServerOptions) -> None:
    """Delete an evaluation that has ended, with its results."""
    server.require_server()
    with server.connected() as client:
        client.evaluation(name).delete()
    out.print(f"deleted {escape(name)}")


def _standing(handle: EvaluationHandle) -> str:
    at = handle.message.progress
    return f"{handle.name}: {handle.state}, {at.images_done} of {at.images_total} images"


def _show(report: Report, classes: ClassNames, reports: ReportOptions) -> None:
    """Prints a report and writes the files that were asked for, whole or not."""
    evaluation = report.evaluation
    if evaluation.state != Evaluation.STATE_SUCCEEDED:
        note(f"{_standing_of(evaluation)}; what follows is of the finished images")
    content = Content.of(report, classes)
    show_report(content)
    show_results(content)
    reports.write(content)


def _standing_of(evaluation: Evaluation) -> str:
    if evaluation.state == Evaluation.STATE_FAILED:
        status = read_status(evaluation.error, code="")
        return f"{evaluation.name} failed: {status.message}"
    if evaluation.state == Evaluation.STATE_STOPPED:
        taken = evaluation.sequential
        return f"{evaluation.name} was decided after {taken.units} of {taken.units_total} units"
    return f"{evaluation.name} was cancelled"
