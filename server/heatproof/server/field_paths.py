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
        raise _placed(error, prefix) from error


@contextmanager
def fields_under(prefix: str) -> Iterator[None]:
    """As `under`, but errors without a field are left alone: they concern something else."""
    try:
        yield
    except HeatproofError as error:
        if not error.field:
            raise
        raise _placed(error, prefix) from error


def _placed(error: HeatproofError, prefix: str) -> HeatproofError:
    return type(error)(error.message, field=joined(prefix, error.field), metadata=error.metadata)
