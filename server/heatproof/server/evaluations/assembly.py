"""Everything that the evaluation service calls, put together."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from heatproof.server.datasets.dataset_store import DatasetStore
from heatproof.server.evaluations.assessing import Assessments
from heatproof.server.evaluations.comparing import Comparisons
from heatproof.server.evaluations.creation import Creation
from heatproof.server.evaluations.documents import EvaluationDocuments
from heatproof.server.evaluations.environment import Environment
from heatproof.server.evaluations.gating.baselines import Baselines
from heatproof.server.evaluations.gating.gates import Gates
from heatproof.server.evaluations.gating.tabulation import Tabulation
from heatproof.server.evaluations.inline import InlineEvaluations
from heatproof.server.evaluations.retention import deleting_old
from heatproof.server.evaluations.runs.evaluation_run import RunContext
from heatproof.server.evaluations.runs.persistence import Persistence
from heatproof.server.evaluations.runs.progress import ProgressBoard
from heatproof.server.evaluations.scheduling import Scheduler
from heatproof.server.evaluations.store.baseline_store import BaselineStore
from heatproof.server.evaluations.store.evaluation_store import EvaluationStore
from heatproof.server.evaluations.store.records import StoredEvaluation
from heatproof.server.evaluations.watching import WatchIntervals, watch
from heatproof.server.models.model_store import ModelStore
from heatproof.server.resource_names import EvaluationName
from heatproof.server.settings import Settings
from heatproof.server.workers.protocol import Workers


@dataclass(frozen=True, slots=True)
class Evaluations:
    """What the evaluation service calls.

    Attributes:
        store: the stored evaluations.
        scheduler: drives them.
        creation: takes them in.
        inline: evaluates a few images on the spot.
        gates: judges those that have ended.
        baselines: names those that candidates are held against.
        comparisons: compares the models of those that have ended.
        assessments: says which metrics of those that have ended deserve trust.
        board: shows how far they are.
        intervals: how often watchers hear.
    """

    store: EvaluationStore
    scheduler: Scheduler
    creation: Creation
    inline: InlineEvaluations
    gates: Gates
    baselines: Baselines
    comparisons: Comparisons
    assessments: Assessments
    board: ProgressBoard
    intervals: WatchIntervals

    def watch(self, name: EvaluationName) -> AsyncIterator[StoredEvaluation]:
        """Follows an evaluation to its end."""
        return watch(name, self.scheduler, self.board, self.intervals)

    async def image_rows(self, name: EvaluationName, *columns: str) -> AsyncIterator[bytes]:
        """Serialised `ImageResult` messages of the stored shards, in the order of the data set.

        A few megabytes of them are held at once, or one row that is larger.

        Raises:
            NotFoundError: there is no evaluation of this name.
        """
        stored = await asyncio.to_thread(self.store.get, name)
        read = partial(self.store.image_rows, stored.number, columns)
        rows = deque(await asyncio.to_thread(read))
        while rows:
            last, data = rows.popleft()
            yield data
            if not rows:
                rows.extend(await asyncio.to_thread(read, after=last))


@asynccontextmanager
async def evaluating(
    settings: Settings,
    workers: Workers,
    documents: EvaluationDocuments,
    *,
    store: EvaluationStore,
    baseline_store: BaselineStore,
    models: ModelStore,
    datasets: DatasetStore,
) -> AsyncIterator[Evaluations]:
    """Drives evaluations; leaving the context puts the running ones back into the queue."""
    board, environment = ProgressBoard(), Environment(workers)
    tabulation = Tabulation(store, workers, documents)
    baselines = Baselines(baseline_store, tabulation)
    context = RunContext(
        store=store,
        models=models,
        datasets=datasets,
        workers=workers,
        board=board,
        documents=documents,
        gates=Gates(tabulation, baselines),
        parallel_shards=settings.workers,
        persistence=Persistence(settings.storage_patience_seconds),
    )
    async with (
        Scheduler(context) as scheduler,
        deleting_old(store, days=settings.retention_days),
    ):
        yield Evaluations(
            store=store,
            scheduler=scheduler,
            creation=Creation(context, scheduler, environment, baselines),
            inline=InlineEvaluations(models, workers, environment, documents),
            gates=context.gates,
            baselines=baselines,
            comparisons=Comparisons(store, workers, documents),
            assessments=Assessments(store, workers, documents),
            board=board,
            intervals=WatchIntervals(),
        )
