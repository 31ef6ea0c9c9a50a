"""`heatproof models`: what a server stores."""

from typing import Annotated

import typer
from rich.markup import escape

from heatproof.client.command.options import shared
from heatproof.client.command.options.groups import grouped
from heatproof.client.command.output.console import out
from heatproof.client.command.output.tables import table
from heatproof.client.documents.captions import short_digest
from heatproof.v1.model_pb2 import Support

app = typer.Typer(help="List and delete the models of a server.", no_args_is_help=True)


@app.command("list")
@grouped
def list_models(server: shared.ServerOptions) -> None:
    """List the models, newest first."""
    server.require_server()
    with server.connected() as client:
        found = client.models()
    made = table("model", "name", "classes", "layer masking", "gradients", right=("classes",))
    for model in found:
        facts = model.facts
        support = (_yes(facts.layer_masking), _yes(facts.gradients))
        made.add_row(escape(model.display_name), model.name, str(facts.classes), *support)
    out.print(made)


@app.command("delete")
@grouped
def delete_model(
    server: shared.ServerOptions,
    name: Annotated[str, typer.Argument(help="The model, models/sha256-...")],
) -> None:
    """Delete a model."""
    server.require_server()
    with server.connected() as client:
        client.delete_model(name)
    out.print(f"deleted {short_digest(name)}")


def _yes(support: Support) -> str:
    return "yes" if support.supported else "no"
