"""Command lines to repeat, of the options that were given."""

import shlex
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, Final

from heatproof.client.command.options import shared

ONLY_INIT: Final = frozenset(
    {"explainer", "removal", "limit", "seed", "force", "yes", "preprocessing"}
)
"""What a policy holds itself, or what is of `init` alone."""


def repeating(
    options: Any,  # noqa: ANN401  # a group of options
    stated: shared.StatedOptions,
    known: shared.KnownOptions,
    server: shared.ServerOptions,
    *,
    gate: bool = False,
) -> str:
    """The command that calibrates again, or the one that gates by the policy that it wrote.

    Args:
        options: of `init`.
        stated: what was said of the class output.
        known: what is known about the images.
        server: where it runs.
        gate: whether to gate.
    """
    groups = (options, known, server) if gate else (options, stated, known, server)
    left_out = ONLY_INIT if gate else {"force", "yes"}
    words = [
        word
        for group in groups
        for each in fields(group)
        if each.name not in left_out
        for word in _words(each, getattr(group, each.name))
    ]
    rest = [] if gate else ["--yes", "--force"]
    return shlex.join(["heatproof", "gate" if gate else "init", *words, *rest])


def _words(each: Field[Any], value: Any) -> Iterator[str]:  # noqa: ANN401  # an option's value
    default = each.default_factory() if each.default_factory is not MISSING else each.default
    if value == default:
        return
    option = "--output" if each.name == "class_output" else f"--{each.name.replace('_', '-')}"
    for one in value if isinstance(value, list) else [value]:
        yield from (option, str(one) if isinstance(one, Path) else f"{one}")
