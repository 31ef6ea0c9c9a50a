"""How long a call may take in all, whatever it does on the way."""

import time
from typing import Final

from heatproof.client.errors import DeadlineExceededError, Status, UsageError

GRACE: Final = 5.0
"""Seconds for what a call that ran out of time still has to tell the server."""


class Deadline:
    """The end of the time of one call.

    Args:
        seconds: what it may take, uploads and waiting included; None: as long as it takes.

    Raises:
        UsageError: no positive number of seconds.
    """

    def __init__(self, seconds: float | None) -> None:
        self.restart(seconds)

    def restart(self, seconds: float | None) -> None:
        """Lets the call take so many seconds from now on.

        Raises:
            UsageError: no positive number of seconds.
        """
        if seconds is not None and not seconds > 0:
            raise UsageError(f"timeout {seconds!r}: give seconds above 0, or None to wait")
        self._seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float | None:
        """Seconds that are left; None: no end.

        Raises:
            DeadlineExceededError: none are.
        """
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.expired()
        return left

    def within(self, seconds: float) -> float:
        """A pause that does not outlast the call.

        Raises:
            DeadlineExceededError: as `left`.
        """
        left = self.left()
        return seconds if left is None else min(seconds, left)

    @property
    def is_set(self) -> bool:
        """Whether the call has an end."""
        return self._end is not None

    def expired(self) -> DeadlineExceededError:
        """The error of a call that ran out of time; what follows gets the grace."""
        self._end = time.monotonic() + GRACE
        return DeadlineExceededError(
            Status(
                code="DEADLINE_EXCEEDED",
                message=f"this took longer than the timeout of {self._seconds:g} s: give a longer "
                "one, or submit an evaluation and come back for its result",
            )
        )
