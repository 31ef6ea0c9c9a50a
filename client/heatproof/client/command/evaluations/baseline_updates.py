"""Baselines of a server that a gate names: before it, and after a verdict."""

import getpass
import socket
from pathlib import Path

from heatproof.client.command.options.shared import ServerOptions
from heatproof.client.command.output.console import note
from heatproof.client.documents.reading.baseline_names import (
    baseline_reference,
    revision_held,
    updated_baseline,
)
from heatproof.client.errors import UsageError
from heatproof.client.report.checks import Judgement


def require_named_server(baseline: str | None, update: Path | None, server: ServerOptions) -> None:
    """Makes sure that baselines that are named by their name are those of some server.

    Raises:
        UsageError: no server is named, and there is no such file either.
    """
    updated = None if update is None else str(update) if updated_baseline(update) else None
    for option, source in (("--baseline", baseline), ("--update-baseline", updated)):
        reference = None if source is None else baseline_reference(source)
        if reference is not None and server.server is None and server.data_dir is None:
            raise UsageError(
                f"{option} {source}: there is no such file, and {reference} would be a baseline of "
                "a server: give --server or --data-dir, or name a .json file"
            )


def update_baseline(name: str | None, judged: Judgement, server: ServerOptions) -> None:
    """Sets a baseline of the server to what has passed, if one was named.

    What was held against a revision of the same baseline replaces no other revision.

    Raises:
        ConflictError: the baseline has been set meanwhile.
    """
    if name is None:
        return
    report = judged.report
    if not report.passed:
        note(f"{name} stays as it is, for the verdict is against the model")
        return
    with server.connected() as client:
        found = client.set_baseline(
            name,
            report,
            note=f"gate: {judged.line}, by {_who()}",
            expected_revision=revision_held(report.verdict.baseline, name),
        )
    note(f"{found.revision.name} is {found.revision.evaluation}")


def _who() -> str:
    """Who runs this, and where."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container without names of users
        user = "somebody"
    return f"{user}@{socket.gethostname()}"
