"""Why a gate has no verdict, for the reports of a run that ended before one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from heatproof.client.errors import HeatproofError, PolicyError, ServiceError

NO_VERDICT: Final = "NO VERDICT"
"""Stands where a verdict would."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What kept a gate from its verdict.

    Attributes:
        reason: name of the error, such as `FailedPreconditionError`.
        message: what it says, with its way out.
        field: the field at fault, such as `policy.checks[2].min`; empty if none is named.
    """

    reason: str
    message: str
    field: str = ""

    @property
    def told(self) -> dict[str, str]:
        """All that is known, for a document."""
        known = {"reason": self.reason, "message": self.message, "field": self.field}
        return {name: value for name, value in known.items() if value}

    @classmethod
    def of(cls, error: Exception) -> Self:
        """Puts an error into words; one that nobody raised on purpose is a fault of ours."""
        told = "\n".join((str(error), *getattr(error, "__notes__", ())))
        if not isinstance(error, HeatproofError):
            told = f"a fault of heatproof itself; please report it: {told}"
        return cls(type(error).__name__, told, next(_fields(error), ""))


def _fields(error: BaseException | None) -> Iterator[str]:
    """The fields at fault that an error, or what it comes from, names."""
    while error is not None:
        if isinstance(error, PolicyError) and error.path:
            yield error.path
        if isinstance(error, ServiceError):
            yield from (one.field for one in error.violations if one.field)
        error = error.__cause__
