"""When to ask again: every call of the contract may be repeated.

Uploads are idempotent by content, `CreateEvaluation` by its `request_id`, and the rest reads,
cancels or deletes.
"""

from typing import Any, Final

from heatproof.client.clients.effects import Effect, Flow, Pause
from heatproof.client.errors import ResourceExhaustedError, ServiceError, UnavailableError

FIRST_DELAY: Final = 0.2
"""Seconds before the first repetition of a call that found no server; doubles each time."""

LONGEST_DELAY: Final = 10.0
"""Longest pause in seconds between two attempts, unless the server asks for a longer one."""

UNAVAILABLE_ATTEMPTS: Final = 6
"""Attempts to reach a server: about 6 seconds."""

PATIENCE: Final = 600.0
"""Seconds of pauses in all that an overloaded server may ask for."""


def patiently(effect: Effect) -> Flow[Any]:
    """Performs a call and repeats it while that may help.

    Raises:
        ServiceError: as the last attempt left it.
    """
    attempts, waited = 0, 0.0
    while True:
        try:
            return (yield effect)
        except (UnavailableError, ResourceExhaustedError) as error:
            attempts += 1
            delay = _delay(error, attempts)
            if delay is None or waited + delay > PATIENCE:
                raise
        waited += delay
        yield Pause(delay)


def _delay(error: ServiceError, attempts: int) -> float | None:
    """Seconds to wait before the next attempt; None: it will not help."""
    if error.status.is_slow:
        return None
    if error.status.retry_delay is not None:
        return max(error.status.retry_delay, FIRST_DELAY)
    if isinstance(error, UnavailableError) and attempts < UNAVAILABLE_ATTEMPTS:
        return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** (attempts - 1))
    return None
