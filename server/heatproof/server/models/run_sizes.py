"""Has the runs of models measured once on a machine, and known from then on."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any, cast

import structlog

from heatproof.evaluators.errors import HeatproofError
from heatproof.server.models.run_size_store import RunSizeStore
from heatproof.server.workers.protocol import Done, Event, Lane, P, Task, V, Workers
from heatproof.server.workers.shard_results import ShardTotals
from heatproof.server.workers.tasks import Explain, RunShard

_log = structlog.get_logger()


class RunSizeWorkers(Workers):
    """Workers that are told what was measured before, and whose measurements are kept.

    A worker is believed only about the models of its task. What it says changes no bit of a score:
    whoever is told a size compares the bits of its first run with those of single batches.
    """

    def __init__(self, workers: Workers, store: RunSizeStore) -> None:
        self._workers = workers
        self._store = store

    async def run(
        self, task: Task[P, V], *, lane: Lane = Lane.INTERACTIVE, seconds: float | None = None
    ) -> AsyncGenerator[Event[P, V]]:
        """Runs a task, see `Workers.run`."""
        informed = task
        if isinstance(task, RunShard | Explain):
            known = await asyncio.to_thread(self._store.of, task.models_loaded())
            informed = cast("Task[P, V]", replace(task, run_sizes=known))
        async with aclosing(self._workers.run(informed, lane=lane, seconds=seconds)) as events:
            async for event in events:
                if isinstance(event, Done) and isinstance(event.value, ShardTotals):
                    await asyncio.to_thread(self._keep, task, event.value)
                yield event

    def _keep(self, task: Task[Any, Any], totals: ShardTotals) -> None:
        models = task.models_loaded()
        try:
            self._store.keep([size for size in totals.run_sizes if size.model in models])
        except HeatproofError as error:
            _log.warning("what was measured of runs is not kept", error=error.message)
