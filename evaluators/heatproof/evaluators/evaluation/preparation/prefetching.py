"""Makes the next things of a sequence in another thread, a bounded number ahead."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeVar

T = TypeVar("T")

AHEAD: Final = 2
"""Things that are ready, or being made, before they are asked for."""


@contextmanager
def prefetched(make: Callable[[int], T], count: int) -> Iterator[Iterator[T]]:
    """Things that are made one after the other, in order, while others are in use.

    Nothing is made before the first one is asked for. What fails is raised when its turn comes.
    When the context ends, nothing further is begun, and its thread has ended.

    Args:
        make: makes the thing at an index; called in one other thread.
        count: how many things there are.
    """
    maker = ThreadPoolExecutor(1, "prefetch")
    try:
        yield _in_order(maker, make, count)
    finally:
        maker.shutdown(cancel_futures=True)


def _in_order(maker: ThreadPoolExecutor, make: Callable[[int], T], count: int) -> Iterator[T]:
    waiting: deque[Future[T]] = deque()
    begun = 0
    for index in range(count):
        while begun < min(index + 1 + AHEAD, count):
            waiting.append(maker.submit(make, begun))
            begun += 1
        yield waiting.popleft().result()
