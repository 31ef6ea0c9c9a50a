"""Loads plug-ins: installed packages that register metrics, explainers and removal operators."""

from importlib.metadata import entry_points
from importlib.util import find_spec
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


def plugin_paths() -> tuple[str, ...]:
    """Files and folders that plug-ins are imported from, wherever they are installed."""
    packages = {entry.module.partition(".")[0] for entry in entry_points(group=GROUP)}
    specs = [spec for spec in map(find_spec, sorted(packages)) if spec is not None]
    origins = [spec.origin for spec in specs if spec.origin and not spec.parent]
    folders = [path for spec in specs for path in spec.submodule_search_locations or ()]
    return (*origins, *folders)
