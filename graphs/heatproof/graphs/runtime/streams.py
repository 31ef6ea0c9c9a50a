"""Runs passes beside each other, and beside whoever asks for them."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Streams:
    """Threads that passes run in.

    Passes of sessions with one thread run side by side, one on each core: no thread waits for
    another inside an operator, and no score depends on how an operator is cut among threads.
    Passes of sessions that use all cores run one at a time.

    Attributes:
        cores: passes that run side by side.
    """

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self._side_by_side = ThreadPoolExecutor(cores, "stream")
        self._one_at_a_time = ThreadPoolExecutor(1, "all-cores")

    def submit(self, call: Callable[[], T], *, alone: bool) -> "Future[T]":
        """Runs a call when its turn comes; `alone` if it uses all cores."""
        return (self._one_at_a_time if alone else self._side_by_side).submit(call)
