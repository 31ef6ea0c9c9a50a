"""Metrics, explainers and removal operators on the command line: `name` or `name:key=value,...`."""

import re
import tomllib
from typing import Final

from heatproof.client.errors import UsageError

_COMMA: Final = re.compile(r",(?![^\[]*\])")
"""A comma outside of brackets, which hold lists: `sizes=[0.1, 0.2]`."""


def choice(text: str) -> dict[str, dict[str, object]]:
    """Reads a choice, such as `rise:masks=500,grid=7`.

    Raises:
        UsageError: a parameter has no value.
    """
    name, _, parameters = text.partition(":")
    return {name.strip(): dict(_parameter(text, item) for item in _items(parameters))}


def _items(parameters: str) -> list[str]:
    return [item for item in _COMMA.split(parameters) if item.strip()]


def _parameter(text: str, item: str) -> tuple[str, object]:
    key, separator, value = (part.strip() for part in item.partition("="))
    if not separator or not key or not value:
        raise UsageError(f"{text!r}: write parameters as name:key=value,key=value")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value  # a bare word, such as the name of an enum value
