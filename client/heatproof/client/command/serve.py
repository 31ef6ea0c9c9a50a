"""`heatproof serve`: becomes the server."""

import os
import sys

import typer

from heatproof.client.clients.connections.embedded import require_server


def serve(context: typer.Context) -> None:
    """Start a server; its own options follow, see `heatproof serve --help`."""
    require_server()
    sys.stdout.flush()
    command = [sys.executable, "-m", "heatproof.server", *context.args]
    os.execv(sys.executable, command)  # noqa: S606  # our own interpreter and module
