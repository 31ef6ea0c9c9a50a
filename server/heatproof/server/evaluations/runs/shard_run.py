"""Computes one shard of an evaluation."""

import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from heatproof.server.evaluations.store.records import ShardRows
from heatproof.server.workers.protocol import Done, Event, Failed, Lane, Partial, Progress, Workers
from heatproof.server.workers.shard_results import ImageRow, ShardTotals
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
        known: those of them that were known.
        columns: what statistics read of the finished shard; () before it is.
        ways_run: how each kind of pass was run, in words; () before it is finished.
    """

    number: int
    task: RunShard
    name: str
    images: list[ImageRow] = field(default_factory=list)
    predictions: int = 0
    known: int = 0
    columns: tuple[bytes, ...] = ()
    ways_run: tuple[str, ...] = ()
    _started: float | None = None
    _prepared_for: float = 0.0

    def rows(self) -> ShardRows:
        """What is to be stored."""
        seconds = 0.0 if self._started is None else time.monotonic() - self._started
        seconds = max(seconds - self._prepared_for, 0.0)
        return ShardRows(
            shard=self.number,
            positions=self.task.positions,
            images=tuple(self.images),
            predictions=self.predictions,
            seconds=seconds,
            columns=self.columns,
            known=self.known,
            ways_run=self.ways_run,
        )

    async def compute(
        self, workers: Workers, *, lane: Lane, told: Callable[[], None] = lambda: None
    ) -> None:
        """Runs the shard to its end.

        Args:
            workers: where it is computed.
            lane: where it waits.
            told: called after every event.

        Raises:
            HeatproofError: what the task fails with.
        """
        async with aclosing(workers.run(self.task, lane=lane)) as events:
            is_done = False
            while not is_done:
                event = await anext(events)
                self._started = self._started or time.monotonic()  # when a worker took it up
                is_done = self._take(event)
                told()

    def _take(self, event: Event[ImageRow, ShardTotals]) -> bool:
        """Notes an event and says whether it is the last."""
        match event:
            case Progress():
                self.predictions, self.known = event.predictions, event.known
            case Partial():
                self.images.append(event.value)
            case Done():
                self.predictions, self.known = event.value.predictions, event.value.known
                self.columns, self.ways_run = event.value.columns, event.value.ways_run
                self._prepared_for = event.value.preparation_seconds
            case Failed():
                raise event.error
        return isinstance(event, Done)
