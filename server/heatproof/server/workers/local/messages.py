"""What the server and a worker tell each other through their pipe."""

from dataclasses import dataclass
from typing import Any, TypeAlias

from heatproof.server.workers.protocol import Event, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """What one worker may use.

    Attributes:
        threads: threads a network may use.
        niceness: added to the server's own.
        session_bytes: memory of the networks that are kept ready between tasks.
        max_model_bytes: size of a model's files.
        max_image_pixels: pixels of an image, read from its header.
        preload: whether to load the libraries before the first task comes.
        pulse_seconds: time between two signs of life.
        tidy_seconds: time without a task after which a worker drops what belongs to deleted models.
    """

    threads: int
    niceness: int = 0
    session_bytes: int = 2 << 30
    max_model_bytes: int = 4 << 30
    max_image_pixels: int = 100_000_000
    preload: bool = True
    pulse_seconds: float = 1.0
    tidy_seconds: float = 10.0


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
