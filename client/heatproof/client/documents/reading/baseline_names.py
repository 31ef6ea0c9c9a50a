"""Baselines of a server by name: `main`, `baselines/main`, or a revision, `main@3`."""

import os
import re
from pathlib import Path
from typing import Final

from heatproof.client.errors import UsageError

BASELINE_PREFIX: Final = "baselines/"

_NAME: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_REFERENCE: Final = re.compile(rf"({BASELINE_PREFIX})?({_NAME}(?:@[1-9][0-9]*)?)")


def baseline_reference(source: object) -> str | None:
    """The baseline of a server that is meant, `baselines/...`; None for a file or a model.

    `baselines/main` is always one, `main` unless a file or folder of that name exists.
    """
    match = _REFERENCE.fullmatch(source) if isinstance(source, str) else None
    if match is None or (match[1] is None and os.path.lexists(match[0])):
        return None
    return f"{BASELINE_PREFIX}{match[2]}"


def baseline_name(source: str) -> str:
    """The full name of a baseline, `baselines/...`.

    Raises:
        UsageError: it is no such name.
    """
    match = _REFERENCE.fullmatch(source)
    if match is None or "@" in match[2]:
        raise UsageError(
            f"{source!r} names no baseline: give 1 to 63 lower-case letters, digits and hyphens, "
            f"such as main or {BASELINE_PREFIX}main"
        )
    return f"{BASELINE_PREFIX}{match[2]}"


def updated_baseline(target: str | Path | None) -> str | None:
    """The baseline of a server that is to be set, `baselines/...`; None for a file.

    Raises:
        UsageError: it names a revision, which nobody can set.
    """
    reference = baseline_reference(str(target)) if target is not None else None
    return None if reference is None else baseline_name(reference)


def revision_held(reference: str, name: str) -> int | None:
    """The revision that a verdict was held against; None if it was none of this baseline.

    Args:
        reference: `Verdict.baseline`.
        name: the baseline, `baselines/...`.
    """
    held, _, revision = reference.partition("@")
    return int(revision) if held == name and revision else None
