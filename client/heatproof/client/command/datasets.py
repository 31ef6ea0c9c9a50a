"""`heatproof datasets`: what a server stores."""

from typing import Annotated

import typer
from rich.markup import escape

from heatproof.client.command.options import shared
from heatproof.client.command.options.groups import grouped
from heatproof.client.command.output.console import out
from heatproof.client.command.output.tables import table
from heatproof.client.documents.captions import short_digest

app = typer.Typer(help="List and delete the data sets of a server.", no_args_is_help=True)


@app.command("list")
@grouped
def list_datasets(server: shared.ServerOptions) -> None:
    """List the data sets, newest first."""
    server.require_server()
    with server.connected() as client:
        found = client.datasets()
    made = table("data set", "name", "images", "labelled", right=("images", "labelled"))
    for dataset in found:
        counts = (str(dataset.images), str(dataset.labelled))
        made.add_row(escape(dataset.display_name), dataset.name, *counts)
    out.print(made)


@app.command("delete")
@grouped
def delete_dataset(
    server: shared.ServerOptions,
    name: Annotated[str, typer.Argument(help="The data set, datasets/sha256-...")],
) -> None:
    """Delete a data set."""
    server.require_server()
    with server.connected() as client:
        client.delete_dataset(name)
    out.print(f"deleted {short_digest(name)}")
