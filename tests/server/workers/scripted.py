"""Workers that say what they are told to."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any

from heatproof.server.workers.protocol import Lane, Task, Workers


@dataclass
class ScriptedWorkers(Workers):
    """Answers every task with the same events.

    Attributes:
        events: what it says.
        tasks: what it was asked.
    """

    events: Sequence[Any]
    tasks: list[Task[Any, Any]] = field(default_factory=list)

    async def run(
        self,
        task: Task[Any, Any],
        *,
        lane: Lane = Lane.INTERACTIVE,  # noqa: ARG002  # the seam's signature
        seconds: float | None = None,  # noqa: ARG002  # likewise
    ) -> AsyncGenerator[Any, None]:
        self.tasks.append(task)
        for event in self.events:
            yield event
