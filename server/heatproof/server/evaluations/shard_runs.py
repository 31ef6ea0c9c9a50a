"""Computes one shard of a durable evaluation."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from heatproof.evaluators.errors import DeadlineExceededError
from heatproof.evaluators.results import ImageResult
from heatproof.server.codec.evaluations import image_row
from heatproof.server.evaluations.board import Board, Tally
from heatproof.server.stores.evaluation_records import ImageRow, ShardRows
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
    _step: str = "start"

    def rows(self) -> ShardRows:
        """What is to be stored."""
        seconds = 0.0 if self._started is None else time.monotonic() - self._started
        return ShardRows(
            self.number, self.task.first, tuple(self.images), self.predictions, seconds
        )

    async def compute(
        self, workers: Workers, board: Board, tally: Tally, *, stall_seconds: float
    ) -> None:
        """Runs the shard to its end.

        Raises:
            DeadlineExceededError: the worker showed no progress for `stall_seconds`.
            HeatproofError: what the task fails with.
        """
        async with aclosing(workers.run(self.task, lane=Lane.BULK)) as events:
            is_done = False
            while not is_done:
                is_done = self._take(await self._next(events, stall_seconds))
                tally.running[self.number] = (len(self.images), self.predictions)
                board.announce(self.name)

    async def _next(
        self, events: AsyncGenerator[Event[ImageResult, int], None], stall_seconds: float
    ) -> Event[ImageResult, int]:
        if self._started is None:  # the wait for a worker is nobody's fault
            event = await anext(events)
            self._started = time.monotonic()
            return event
        try:
            async with asyncio.timeout(stall_seconds):
                return await anext(events)
        except TimeoutError:
            raise self._stalled(stall_seconds) from None

    def _take(self, event: Event[ImageResult, int]) -> bool:
        """Notes an event and says whether it is the last."""
        match event:
            case Progress():
                self._step = event.step
                self.predictions = event.predictions
            case Partial():
                self.images.append(image_row(event.value))
            case Done():
                self.predictions = event.value
            case Failed():
                raise event.error
        return isinstance(event, Done)

    def _stalled(self, seconds: float) -> DeadlineExceededError:
        return DeadlineExceededError(
            f"shard {self.number} made no progress for {seconds:g} s, at: {self._step}; use a "
            "smaller model or smaller images",
            metadata={"step": self._step},
        )
