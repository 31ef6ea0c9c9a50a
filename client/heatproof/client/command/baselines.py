"""`heatproof baselines`: what a server holds candidates against, by name."""

from dataclasses import dataclass
from typing import Annotated, Final

import typer
from rich.markup import escape

from heatproof.client.command.options import shared
from heatproof.client.command.options.groups import grouped
from heatproof.client.command.output.console import out
from heatproof.client.command.output.tables import table
from heatproof.client.documents.captions import short_digest
from heatproof.v1.baseline_pb2 import BaselineRevision

app = typer.Typer(
    help="List, show, set and delete the baselines of a server.", no_args_is_help=True
)

BaselineArgument = Annotated[str, typer.Argument(help="The baseline, such as main")]

REVISION_HEADS: Final = ("set", "model", "evaluation", "note")
"""What the columns of a table of revisions hold beside their first."""


@app.command("list")
@grouped
def list_baselines(server: shared.ServerOptions) -> None:
    """List the baselines, that which was created last first."""
    server.require_server()
    with server.connected() as client:
        found = client.baselines()
    made = table("baseline", *REVISION_HEADS)
    for baseline in found:
        made.add_row(*map(escape, (baseline.revision.name, *_cells(baseline.revision))))
    out.print(made)


@app.command("show")
@grouped
def show_baseline(name: BaselineArgument, server: shared.ServerOptions) -> None:
    """Show what a baseline has been set to, newest first."""
    server.require_server()
    with server.connected() as client:
        found = client.baseline_revisions(name)
    made = table("revision", *REVISION_HEADS, right=("revision",))
    for revision in found:
        made.add_row(*map(escape, (str(revision.revision), *_cells(revision))))
    out.print(made)


def _cells(held: BaselineRevision) -> tuple[str, ...]:
    created = held.create_time.ToDatetime().isoformat(" ", "minutes")
    model = f"{held.model_display_name} {short_digest(held.model)}".strip()
    gone = "" if held.stored else " (deleted)"
    return f"{created} UTC", model, f"{held.evaluation}{gone}", held.note


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingOptions:
    """How a baseline is set."""

    model: Annotated[
        str,
        typer.Option(help="Which of the evaluation's models, if it has several: models/sha256-..."),
    ] = ""
    note: Annotated[str, typer.Option(help="Who sets it and why, for its history.")] = ""
    expect: Annotated[
        int | None,
        typer.Option(
            metavar="REVISION",
            min=0,
            help="Set it only if its newest revision is this one; 0: if there is none.",
        ),
    ] = None


@app.command("set")
@grouped
def set_baseline(
    name: BaselineArgument,
    evaluation: Annotated[str, typer.Argument(help="What it names from now on, evaluations/...")],
    setting: SettingOptions,
    server: shared.ServerOptions,
) -> None:
    """Let a baseline, which may be new, name an evaluation that has succeeded."""
    server.require_server()
    with server.connected() as client:
        found = client.set_baseline(
            name,
            evaluation,
            model=setting.model,
            note=setting.note,
            expected_revision=setting.expect,
        )
    out.print(escape(f"{found.revision.name} is {found.revision.evaluation}"))


@app.command("delete")
@grouped
def delete_baseline(name: BaselineArgument, server: shared.ServerOptions) -> None:
    """Delete a baseline with its history; the evaluations stay."""
    server.require_server()
    with server.connected() as client:
        client.delete_baseline(name)
    out.print(f"deleted {escape(name)}")
