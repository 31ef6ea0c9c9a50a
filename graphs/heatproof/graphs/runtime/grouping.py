"""Chooses how many batches one run of a session takes, by timing the runs."""

import threading
from collections import defaultdict
from statistics import median
from typing import Final

COUNTS: Final = (1, 2, 4)
"""Batches that one run may take."""

_EARLY: Final = 16
"""Runs of single batches before others are tried: small evaluations are not worth it."""

_TIMED: Final = 12
"""Runs of each count that are timed."""

_LOOKED: Final = 4
"""Runs of a count after which it is given up if it is slower, for its trials cost time."""

_GAIN: Final = 0.97
"""Share of the seconds a row below which a larger run is worth its memory."""


class Grouping:
    """How many batches one run takes: the fastest count of those that change no bit.

    Counts are tried on the batches that come, from the least on, and none beyond one that is
    slower: rows that outgrow a core's cache do so in every larger run. Before a count is used it is
    proven on rows that are run both ways. Safe for threads.

    Args:
        fixed: the count to be used if it is proven; 0 for the fastest.
    """

    def __init__(self, fixed: int = 0) -> None:
        self._fixed = fixed
        self._lock = threading.Lock()
        self._proven = {1}
        self._refuted: set[int] = set()
        self._proving: set[int] = set()
        self._seconds: defaultdict[int, list[float]] = defaultdict(list)
        self._chosen = 0

    @property
    def chosen(self) -> int:
        """Batches that a run takes from here on, as far as that is decided; 1 before it is."""
        return self.decided or 1

    @property
    def decided(self) -> int:
        """Batches that a run takes from here on; 0 before that is decided."""
        with self._lock:
            if self._fixed in self._refuted:
                return 1
            if self._fixed:
                return self._fixed if self._fixed in self._proven else 0
            return self._chosen

    def next(self, waiting: int) -> int:
        """How many of the batches that wait, at least 1, the next run takes.

        A count that is not proven is handed out once at a time, until `release`.
        """
        with self._lock:
            wanted = self._wanted()
            if wanted <= waiting and wanted not in self._proven | self._proving:
                self._proving.add(wanted)
                return wanted
            return max(count for count in self._proven if count <= min(wanted, waiting))

    def release(self, count: int) -> None:
        """Says that a run of so many batches is over, however it ended."""
        with self._lock:
            self._proving.discard(count)

    def is_proven(self, count: int) -> bool:
        """Whether runs of so many batches were found to give the bits of each alone."""
        return count in self._proven

    def prove(self, count: int, *, holds: bool) -> None:
        """Says whether a run of so many batches gave the bits of each alone."""
        with self._lock:
            (self._proven if holds else self._refuted).add(count)
            self._chosen = 0

    def refute(self, count: int) -> None:
        """Has a count used no more, for it failed."""
        with self._lock:
            self._proven.discard(count)
            self._refuted.add(count)
            self._chosen = 0

    def note(self, count: int, seconds: float) -> None:
        """Takes the time of a run of so many batches, in seconds for each of them."""
        with self._lock:
            timed = self._seconds[count]
            if len(timed) < _TIMED or (count == 1 and len(timed) < _EARLY):
                timed.append(seconds)

    def _wanted(self) -> int:
        if self._fixed:
            return 1 if self._fixed in self._refuted else self._fixed
        return self._chosen or self._tried()

    def _tried(self) -> int:
        """The count whose turn it is; the choice once all have been timed."""
        if len(self._seconds[1]) < _EARLY:
            return 1
        untimed = self._untimed()
        if untimed is None:
            self._chosen = self._choice()
        return untimed or self._choice()

    def _untimed(self) -> int | None:
        """The least count that was not timed often enough; None beyond one that is slower."""
        for count in COUNTS:
            if self._is_slow(count):
                return None
            if count not in self._refuted and len(self._seconds[count]) < _TIMED:
                return count
        return None

    def _is_slow(self, count: int) -> bool:
        """Whether three quarters of its runs were slower, a batch, than half of the single ones."""
        timed = sorted(self._seconds[count])
        return len(timed) >= _LOOKED and timed[len(timed) // 4] > median(self._seconds[1])

    def _choice(self) -> int:
        best = 1
        for count in sorted(self._proven):
            if median(self._seconds[count]) < _GAIN * median(self._seconds[best]):
                best = count
        return best
