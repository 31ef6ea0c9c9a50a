"""Loads libraries without the collector."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Keeps the collector from what is loaded inside, then and at every later collection.

    Modules, classes and functions live as long as their process. Walking over them takes a tenth
    of the time of loading them, and most of the time of its end.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
