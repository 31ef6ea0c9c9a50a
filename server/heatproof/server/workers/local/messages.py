"""What the server and a worker tell each other through their pipe."""

from dataclasses import dataclass
from typing import Any, TypeAlias

from heatproof.server.workers.limits import WorkerSettings
from heatproof.server.workers.protocol import Event, Task


@dataclass(frozen=True, slots=True)
class Assign:
    """Tells a worker to run a task."""

    number: int
    task: Task[Any, Any]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Tells a worker to stop a task."""

    number: int


@dataclass(frozen=True, slots=True)
class Begun:
    """The worker has taken the task up."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """The worker is alive.

    Attributes:
        passes: passes of networks that its task has finished.
    """

    passes: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """Tells the server of a task: the one in work, or the last one."""

    number: int
    event: Event[Any, Any] | Begun | Pulse


Order: TypeAlias = WorkerSettings | Assign | Cancel
"""The settings come first, once."""
