"""Follows an evaluation to its end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from heatproof.server.evaluations.runs.progress import ProgressBoard
from heatproof.server.evaluations.scheduling import Scheduler
from heatproof.server.evaluations.store.records import StoredEvaluation
from heatproof.server.resource_names import EvaluationName


@dataclass(frozen=True, slots=True)
class WatchIntervals:
    """How often a watcher hears.

    Attributes:
        shortest_seconds: least time between two messages, but for the last.
        longest_seconds: time after which an unchanged evaluation is sent again.
    """

    shortest_seconds: float = 0.5
    longest_seconds: float = 15.0


async def watch(
    name: EvaluationName, scheduler: Scheduler, board: ProgressBoard, intervals: WatchIntervals
) -> AsyncIterator[StoredEvaluation]:
    """Yields the state now, then every change of it, the final state last and at once.

    States that come while the reader is busy are merged into the latest.

    Raises:
        NotFoundError: there is no evaluation of this name.
    """
    while True:
        seen, ended = board.version(str(name)), board.closings(str(name))
        snapshot = await scheduler.snapshot(name)
        yield snapshot
        if snapshot.state.is_final:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(intervals.shortest_seconds):
                await board.closed(str(name), ended)
        with suppress(TimeoutError):
            async with asyncio.timeout(intervals.longest_seconds - intervals.shortest_seconds):
                await board.changed(str(name), seen)
