"""What the server and a worker tell each other through their pipe."""

from dataclasses import dataclass
from typing import Any, TypeAlias

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
class Report:
    """Tells the server of an event of a task."""

    number: int
    event: Event[Any, Any]


Order: TypeAlias = Assign | Cancel
