"""What Heatproof asks of a forge, and how a run of its CI tells which."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias

from heatproof.client.errors import ForgeError, UsageError
from heatproof.client.forges.comments import Change

Environment: TypeAlias = Mapping[str, str]
"""Variables of a process."""


class Run(NamedTuple):
    """The run of a CI that a comment tells of.

    Attributes:
        commit: the commit that was checked out; empty if it is not known.
        url: the page of the run; empty if there is none.
    """

    commit: str
    url: str


class Forge(Protocol):
    """A place where changes are reviewed and runs keep files."""

    @property
    def run(self) -> Run:
        """The run that asks."""
        ...

    def change(self, number: int | None) -> Change | None:
        """A change by its number, or that of the run; None where the run is of no change."""
        ...

    def artifact(self, name: str, branch: str) -> bytes | None:
        """The newest JSON file that runs of a branch have kept by a name; None without one."""
        ...


def variable(environment: Environment, name: str, why: str) -> str:
    """A variable of a run.

    Raises:
        UsageError: it is not set.
    """
    value = environment.get(name, "")
    if not value:
        raise UsageError(f"the variable {name} is not set: {why}")
    return value


def said_by(answer: Any, read: Callable[[Any], Any]) -> Any:  # noqa: ANN401  # JSON values
    """Reads a JSON answer.

    Raises:
        ForgeError: it has another form.
    """
    try:
        return read(answer)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ForgeError(f"the forge answers in another form: {str(answer)[:200]}") from error
