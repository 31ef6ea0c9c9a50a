"""Why a gate has no verdict, for the reports of a run that ended before one."""

from dataclasses import asdict, dataclass
from typing import Final, Self

from heatproof.client.errors import HeatproofError

NO_VERDICT: Final = "NO VERDICT"
"""Stands where a verdict would."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What kept a gate from its verdict.

    Attributes:
        reason: name of the error, such as `FailedPreconditionError`.
        message: what it says, with its way out.
    """

    reason: str
    message: str

    @property
    def told(self) -> dict[str, str]:
        """Both, for a document."""
        return asdict(self)

    @classmethod
    def of(cls, error: Exception) -> Self:
        """Puts an error into words; one that nobody raised on purpose is a fault of ours."""
        told = "\n".join((str(error), *getattr(error, "__notes__", ())))
        if not isinstance(error, HeatproofError):
            told = f"a fault of heatproof itself; please report it: {told}"
        return cls(type(error).__name__, told)
