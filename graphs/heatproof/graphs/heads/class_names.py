"""Names of the classes, as exporters leave them in the metadata of a model."""

import ast
import json
from collections.abc import Mapping
from typing import Final

KEYS: Final = ("names", "class_names", "classes", "labels", "label_names", "id2label")
"""Entries of the metadata that are looked at; the first that names every class counts."""

MAX_NAME: Final = 200
"""Most characters of a name."""

_MAX_TEXT: Final = 1 << 18
_BRACKETS: Final = "[{("


def class_names_of(metadata: Mapping[str, str], classes: int) -> tuple[str, ...]:
    """The names of the classes by index; () if no entry has exactly one for each.

    Read are a list, and a mapping from index to name, in JSON or as Python writes them (as
    Ultralytics does), and names one a line or between commas.

    Args:
        metadata: entries of the model, which nobody trusts.
        classes: number of classes; 0 if it is not known.
    """
    for key in KEYS:
        text = metadata.get(key, "")
        if 0 < len(text) <= _MAX_TEXT:
            names = _named(text)
            if classes and len(names) == classes and all(map(_is_name, names)):
                return names
    return ()


def _named(text: str) -> tuple[str, ...]:
    text = text.strip()
    if not text.startswith(tuple(_BRACKETS)):
        return tuple(part.strip() for part in text.split("\n" if "\n" in text else ","))
    return _in_order(_read(text))


def _read(text: str) -> object:
    """The value that a text stands for; None if it is neither JSON nor a Python literal.

    Both parsers end what is nested deeply with an error.
    """
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return None


def _in_order(value: object) -> tuple[str, ...]:
    """The names of a list, or of a mapping from each index to its name; () of anything else."""
    if isinstance(value, dict):
        by_index = {str(key): name for key, name in value.items()}
        value = [by_index.get(str(index)) for index in range(len(by_index))]
    if not isinstance(value, list | tuple):
        return ()
    names = tuple(name for name in value if isinstance(name, str))
    return names if len(names) == len(value) else ()


def _is_name(name: str) -> bool:
    return 0 < len(name) <= MAX_NAME and name.isprintable()
