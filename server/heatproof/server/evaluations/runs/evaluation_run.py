"""Computes one durable evaluation: its missing shards, then its summary."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ParamSpec, TypeVar

from heatproof.evaluators.errors import HeatproofError, InternalError
from heatproof.evaluators.evaluation.engine import shards
from heatproof.evaluators.evaluation.plan import result_keys
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.server.datasets.dataset_store import DatasetStore
from heatproof.server.evaluations.columns import (
    EvaluationColumns,
    HeldShards,
    StoredShards,
    summarized,
)
from heatproof.server.evaluations.documents import EvaluationDocuments
from heatproof.server.evaluations.runs.image_choice import ImageChoice
from heatproof.server.evaluations.runs.persistence import TRANSIENT, Persistence
from heatproof.server.evaluations.runs.progress import ProgressBoard, Tally
from heatproof.server.evaluations.runs.shard_run import ShardRun
from heatproof.server.evaluations.store.evaluation_store import EvaluationStore
from heatproof.server.evaluations.store.records import Ending, ShardRows, State, StoredEvaluation
from heatproof.server.models.model_store import ModelStore
from heatproof.server.resource_names import DatasetName, ModelName
from heatproof.server.workers.donors import DonorPool
from heatproof.server.workers.inputs import ModelFiles
from heatproof.server.workers.protocol import Lane, Workers
from heatproof.server.workers.tasks import RunShard

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RunContext:
    """What every run works with.

    Attributes:
        store: the evaluations.
        models: the models.
        datasets: the data sets.
        workers: where shards are computed.
        board: where progress is shown.
        documents: reads and writes what is stored.
        parallel_shards: shards of one evaluation in work at a time.
        persistence: how long the stores are tried.
        endings: how evaluations have ended whose end could not be stored yet, by name.
    """

    store: EvaluationStore
    models: ModelStore
    datasets: DatasetStore
    workers: Workers
    board: ProgressBoard
    documents: EvaluationDocuments
    parallel_shards: int = 1
    persistence: Persistence = field(default_factory=Persistence)
    endings: dict[str, Ending] = field(default_factory=dict)


class EvaluationRun:
    """One evaluation in work."""

    def __init__(self, stored: StoredEvaluation, context: RunContext) -> None:
        self._stored = stored
        self._context = context
        self._running: dict[int, ShardRun] = {}

    async def compute(self) -> None:
        """Computes and stores the shards that are missing.

        Raises:
            HeatproofError: a shard failed, or could not be stored for longer than the patience
                lasts; the others are stopped.
        """
        stored = self._stored
        tally = Tally(stored.images_done, stored.predictions_done, stored.predictions_known)
        self._context.board.open(stored.name, tally)
        try:
            spec = self._context.documents.read_spec(stored.spec)
            models = await self._patiently(self._models, spec)
            predictions = stored.predictions_total // max(stored.images_total, 1)
            blank = RunShard(spec, models, (), predictions=predictions)
            chosen = await self._patiently(self._chosen, spec)
            missing = iter(await self._patiently(self._missing))
            pool = await self._patiently(self._pool, spec)
            async with asyncio.TaskGroup() as group:
                for _ in range(self._context.parallel_shards):
                    group.create_task(self._work(missing, chosen, blank, pool, tally))
        except* HeatproofError as errors:
            raise _first(errors) from errors

    async def conclude(self, state: State, error: HeatproofError | None = None) -> None:
        """Summarizes what was computed, unfinished shards included, and ends the evaluation."""
        cut = tuple(run.rows() for run in self._running.values() if run.images)
        results = b""
        try:
            results = await self._summary(cut)
        except HeatproofError as failure:
            error = error or failure
            state = State.FAILED if state is State.SUCCEEDED else state
        status = b"" if error is None else self._context.documents.serialized_error(error)
        await self._end(Ending(state, results, status, cut))

    async def abandon(self, error: HeatproofError) -> None:
        """Ends the evaluation as failed, with the stored shards and without a summary."""
        context, ending = (
            self._context,
            Ending(State.FAILED, b"", self._context.documents.serialized_error(error)),
        )
        context.endings[self._stored.name] = ending
        context.board.announce(self._stored.name)
        await context.persistence.at_all_costs(partial(context.store.end, self._stored, ending))
        context.board.close(self._stored.name)

    async def _end(self, ending: Ending) -> None:
        """Tells the end at once, and stores it as soon as the disk takes it.

        Raises:
            Exception: the ending itself cannot be stored; waiting does not mend that.
        """
        context, stored = self._context, self._stored
        store = partial(context.store.end, stored, ending)
        try:
            await asyncio.to_thread(store)
        except TRANSIENT:
            context.endings[stored.name] = ending
            context.board.announce(stored.name)
            await context.persistence.at_all_costs(store)
        context.endings.pop(stored.name, None)
        context.board.close(stored.name)

    async def _patiently(self, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        return await self._context.persistence.patiently(partial(work, *arguments, **options))

    async def _work(
        self,
        missing: Iterator[tuple[int, range]],
        chosen: Sequence[int],
        blank: RunShard,
        pool: DonorPool,
        tally: Tally,
    ) -> None:
        """Computes one missing shard after the other."""
        context = self._context
        for number, places in missing:
            positions = tuple(chosen[places.start : places.stop])
            images = await self._patiently(
                context.datasets.images, DatasetName.parse(self._stored.dataset), positions
            )
            task = replace(blank, images=pool.supplied(images), positions=positions)
            run = ShardRun(number, task, self._stored.name, places.start)
            self._running[number] = run
            tell = partial(self._tell, run, tally)
            await run.compute(context.workers, lane=Lane.BULK, told=tell)
            await self._patiently(context.store.add_shard, self._stored.number, run.rows())
            del self._running[number]
            tally.finish(number)
            context.board.announce(self._stored.name)

    def _tell(self, run: ShardRun, tally: Tally) -> None:
        """Shows how far a shard is."""
        tally.running[run.number] = (len(run.images), run.predictions, run.known)
        self._context.board.announce(self._stored.name)

    def _models(self, spec: EvaluationSpec) -> tuple[ModelFiles, ...]:
        names = map(ModelName.parse, spec.run_models)
        return tuple(self._context.models.files(name) for name in names)

    def _chosen(self, spec: EvaluationSpec) -> Sequence[int]:
        """Positions of the images in the data set, of which all are read only to choose some."""
        if not spec.units:
            return range(self._stored.images_total)
        images = self._context.datasets.all_images(DatasetName.parse(self._stored.dataset))
        return ImageChoice.of(images, spec).positions

    def _pool(self, spec: EvaluationSpec) -> DonorPool:
        images = self._context.datasets.all_images(DatasetName.parse(self._stored.dataset))
        return DonorPool.of(images, spec.seed, spec.registered)

    def _missing(self) -> list[tuple[int, range]]:
        finished = self._context.store.finished_shards(self._stored.number)
        numbered = enumerate(shards(self._stored.images_total))
        return [(number, positions) for number, positions in numbered if number not in finished]

    async def _summary(self, cut: Sequence[ShardRows]) -> bytes:
        context, stored = self._context, self._stored
        kept = StoredShards(context.store, stored.number, context.persistence.patiently)
        shards = (kept, HeldShards(cut))
        columns = EvaluationColumns(context.workers, stored.spec, shards, lane=Lane.BULK)
        return await summarized(
            context.workers,
            columns,
            stored.spec,
            stored.environment,
            results=len(result_keys(context.documents.read_spec(stored.spec))),
            lane=Lane.BULK,
        )


def _first(errors: BaseExceptionGroup[HeatproofError]) -> HeatproofError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, HeatproofError) else InternalError(str(error))
