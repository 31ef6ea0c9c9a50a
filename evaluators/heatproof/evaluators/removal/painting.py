"""Paints images under masks on several cores."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from heatproof.evaluators.images.arrays import Image, Mask
from heatproof.evaluators.removal.operator import Render


class Painter:
    """Runs what has to paint anew under each mask in threads of its own.

    Args:
        cores: how many images are painted at once; with one, each is painted when it is wanted.
    """

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._threads: ThreadPoolExecutor | None = None

    def begin(self, render: Render, mask: Mask) -> Callable[[], Image]:
        """Begins to paint; what comes back gives the image, or raises why there is none."""
        if self._cores == 1:
            return partial(render, mask)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._cores, "painter")
        return self._threads.submit(render, mask).result

    def close(self) -> None:
        """Drops what has not begun, and ends its threads."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
            self._threads = None
