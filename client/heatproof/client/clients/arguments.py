"""Keyword arguments of the client's methods, checked by name."""

import difflib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

from heatproof.client.errors import UsageError


def check_keywords(function: Callable[..., Any], keywords: Mapping[str, object]) -> None:
    """Refuses keyword arguments that a function would swallow in its `**options`, or misses there.

    Raises:
        UsageError: names the argument and the nearest known one.
    """
    missing = next((name for name in _required(function) if name not in keywords), None)
    if missing is not None:
        raise UsageError(f"{function.__name__}() needs the argument {missing!r}")
    known = list(_names(function))
    unknown = next((name for name in keywords if name not in known), None)
    if unknown is None:
        return
    near = difflib.get_close_matches(unknown, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    raise UsageError(f"{function.__name__}() has no argument {unknown!r}; {hint}")


def _required(function: Callable[..., Any]) -> Iterator[str]:
    """Names of those arguments of a `**options: Unpack[Options]` that must be given."""
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            (options,) = get_args(parameter.annotation)
            yield from sorted(options.__required_keys__)


def _names(function: Callable[..., Any]) -> Iterator[str]:
    """Names of all arguments, those of a `**options: Unpack[Options]` included."""
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            (options,) = get_args(parameter.annotation)
            yield from options.__annotations__
        else:
            yield parameter.name
