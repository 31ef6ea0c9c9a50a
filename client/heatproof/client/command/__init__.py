"""The command `heatproof`; one module a subcommand."""

from heatproof.client.command.application import main

__all__ = ["main"]
