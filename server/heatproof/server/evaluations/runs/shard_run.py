"""Computes one shard of a durable evaluation."""

import time
from contextlib import aclosing
from dataclasses import dataclass, field

from heatproof.server.evaluations.runs.progress import Board, Tally
from heatproof.server.evaluations.store.records import ShardRows
from heatproof.server.workers.image_rows import ImageRow
from heatproof.server.workers.protocol import Done, Event, Failed, Lane, Partial, Progress, Workers
from heatproof.server.workers.tasks import RunShard


@dataclass(slots=True)
class ShardRun:
    """A shard in work.

    Attributes:
        number: number of the shard.
        task: what is computed.
        name: name of the evaluation.
        images: results so far.
        predictions: predictions so far.
    """

    number: int
    task: RunShard
    name: str
    images: list[ImageRow] = field(default_factory=list)
    predictions: int = 0
    _started: float | None = None

    def rows(self) -> ShardRows:
        """What is to be stored."""
        seconds = 0.0 if self._started is None else time.monotonic() - self._started
        return ShardRows(
            self.number, self.task.first, tuple(self.images), self.predictions, seconds
        )

    async def compute(self, workers: Workers, board: Board, tally: Tally) -> None:
        """Runs the shard to its end.

        Raises:
            HeatproofError: what the task fails with.
        """
        async with aclosing(workers.run(self.task, lane=Lane.BULK)) as events:
            is_done = False
            while not is_done:
                event = await anext(events)
                self._started = self._started or time.monotonic()  # when a worker took it up
                is_done = self._take(event)
                tally.running[self.number] = (len(self.images), self.predictions)
                board.announce(self.name)

    def _take(self, event: Event[ImageRow, int]) -> bool:
        """Notes an event and says whether it is the last."""
        match event:
            case Progress():
                self.predictions = event.predictions
            case Partial():
                self.images.append(event.value)
            case Done():
                self.predictions = event.value
            case Failed():
                raise event.error
        return isinstance(event, Done)
