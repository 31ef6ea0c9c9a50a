"""Paths of request fields, such as `spec.metrics[2].deletion.steps`."""

from collections.abc import Iterator
from contextlib import contextmanager

from heatproof.evaluators.errors import HeatproofError


def joined(outer: str, inner: str) -> str:
    """Joins two paths, either of which may be empty."""
    return f"{outer}.{inner}" if outer and inner else outer or inner


@contextmanager
def under(prefix: str) -> Iterator[None]:
    """Errors raised inside get their field paths prefixed; those without a field get the prefix."""
    try:
        yield
    except HeatproofError as error:
        path = joined(prefix, error.field)
        raise type(error)(error.message, field=path, metadata=error.metadata) from error
