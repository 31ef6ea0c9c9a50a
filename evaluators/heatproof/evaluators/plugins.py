"""Loads plug-ins: installed packages that register metrics, explainers and removal operators."""

from importlib.metadata import entry_points
from typing import Final

GROUP: Final = "heatproof.plugins"
"""Entry-point group; each entry names a module whose import registers classes."""


def load_plugins() -> tuple[str, ...]:
    """Imports every installed plug-in and returns their names, sorted.

    A plug-in that cannot be imported ends the start: a server that silently lacks a metric would
    answer with an unknown name where the operator expects a score.
    """
    found = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    for entry in found:
        entry.load()
    return tuple(entry.name for entry in found)
