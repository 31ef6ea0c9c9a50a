"""Schedulers in this process, and waiting for what they do."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from heatproof.server.api import evaluation_documents
from heatproof.server.evaluations.gating.baselines import Baselines
from heatproof.server.evaluations.gating.gates import Gates
from heatproof.server.evaluations.gating.tabulation import Tabulation
from heatproof.server.evaluations.runs.evaluation_run import RunContext
from heatproof.server.evaluations.runs.persistence import Persistence
from heatproof.server.evaluations.runs.progress import ProgressBoard
from heatproof.server.evaluations.scheduling import Scheduler
from heatproof.server.workers.protocol import Workers
from tests.server.world import World


@asynccontextmanager
async def scheduling(
    world: World,
    workers: Workers,
    *,
    board: ProgressBoard | None = None,
    parallel: int = 1,
    persistence: Persistence | None = None,
) -> AsyncIterator[Scheduler]:
    """Drives the evaluations of a world."""
    stores = world.stores
    tabulation = Tabulation(stores.evaluations, workers, evaluation_documents)
    context = RunContext(
        store=stores.evaluations,
        models=stores.models,
        datasets=stores.datasets,
        workers=workers,
        board=board or ProgressBoard(),
        documents=evaluation_documents,
        gates=Gates(tabulation, Baselines(stores.baselines, tabulation)),
        parallel_shards=parallel,
        persistence=persistence or Persistence(),
    )
    async with Scheduler(context) as scheduler:
        yield scheduler


async def until(claim: Callable[[], bool]) -> None:
    """Waits until a claim holds."""
    async with asyncio.timeout(30):
        while not claim():  # noqa: ASYNC110 - the claims are about files and other tasks
            await asyncio.sleep(0.001)
