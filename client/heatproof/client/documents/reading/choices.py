"""Metrics, explainers and removal operators as texts: `name` or `name:key=value,...`."""

import tomllib
from collections.abc import Iterator
from typing import Final, TypeAlias

from heatproof.client.errors import UsageError

Parameters: TypeAlias = dict[str, object]

CHOSEN: Final = ":"
"""What parameters follow."""


def choice(text: str) -> dict[str, Parameters]:
    """Reads a choice, such as `rise:masks=500,grid=7`.

    Values are those of TOML, or bare words; a dotted key is one inside another, as in
    `segment_removal:regions.grid.side=8`.

    Raises:
        UsageError: a parameter has no value, or two of them contradict each other.
    """
    name, _, parameters = text.partition(CHOSEN)
    found: Parameters = {}
    for item in _items(parameters):
        key, value = _parameter(text, item)
        *outer, last = (part.strip() for part in key.split("."))
        inside = found
        for part in outer:
            inside = _inner(text, inside, part)
        if last in inside:
            raise UsageError(f"{text!r}: {key} is given twice; leave one of them out")
        inside[last] = value
    return {name.strip(): found}


def _inner(text: str, parameters: Parameters, key: str) -> Parameters:
    """What a key holds further keys in."""
    inner = parameters.setdefault(key, {})
    if not isinstance(inner, dict):
        raise UsageError(f"{text!r}: {key} has a value and further keys; leave one of them out")
    return inner


def _items(parameters: str) -> Iterator[str]:
    """Cuts at commas outside of brackets, which hold lists and tables: `sizes=[0.1, 0.2]`."""
    start = depth = 0
    for place, letter in enumerate(f"{parameters},"):
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and depth <= 0:
            if item := parameters[start:place].strip():
                yield item
            start = place + 1


def _parameter(text: str, item: str) -> tuple[str, object]:
    key, separator, value = (part.strip() for part in item.partition("="))
    if not separator or not key or not value:
        raise UsageError(f"{text!r}: write parameters as name:key=value,key=value")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value  # a bare word, such as the name of an enum value
