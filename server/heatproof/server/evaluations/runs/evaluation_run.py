"""Computes one durable evaluation: its missing shards, then its summary."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ParamSpec, TypeVar

from heatproof.evaluators.errors import HeatproofError, InternalError
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
from heatproof.server.evaluations.gating.gates import Gates
from heatproof.server.evaluations.runs.agenda import Shard, by_units, in_order, missing
from heatproof.server.evaluations.runs.image_choice import ImageChoice
from heatproof.server.evaluations.runs.looks import Decided, Looks, Turns
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
        gates: judges sequential evaluations while they run.
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
    gates: Gates
    parallel_shards: int = 1
    persistence: Persistence = field(default_factory=Persistence)
    endings: dict[str, Ending] = field(default_factory=dict)


class EvaluationRun:
    """One evaluation in work."""

    def __init__(self, stored: StoredEvaluation, context: RunContext) -> None:
        self._stored = stored
        self._environment = stored.environment
        self._context = context
        self._running: dict[int, ShardRun] = {}
        self._looks: Looks | None = None

    async def compute(self) -> State:
        """Computes and stores the shards that are missing.

        Returns:
            `SUCCEEDED`; `STOPPED` if some are, since the others had decided every check.

        Raises:
            HeatproofError: a shard failed, or could not be stored for longer than the patience
                lasts; the others are stopped.
        """
        state = State.SUCCEEDED
        try:
            await self._compute()
        except* Decided:
            state = State.STOPPED
            self._running.clear()  # nobody asks for what was still in work
        except* HeatproofError as errors:
            raise _first(errors) from errors
        return state

    async def _compute(self) -> None:
        """Computes the shards side by side.

        Raises:
            Decided: those that are stored decide every check of a sequential policy.
        """
        stored = self._stored
        tally = Tally(stored.images_done, stored.predictions_done, stored.predictions_known)
        self._context.board.open(stored.name, tally)
        spec = self._context.documents.read_spec(stored.spec)
        models = await self._patiently(self._models, spec)
        predictions = stored.predictions_total // max(stored.images_total, 1)
        blank = RunShard(spec, models, (), predictions=predictions)
        finished = await self._patiently(self._context.store.finished_shards, stored.number)
        left = missing(await self._agenda(spec, finished), finished)
        pool = await self._patiently(self._pool, spec)
        async with asyncio.TaskGroup() as group:
            for _ in range(self._context.parallel_shards):
                group.create_task(self._work(left, blank, pool, tally))

    async def conclude(self, state: State, error: HeatproofError | None = None) -> None:
        """Summarizes what was computed, unfinished shards included, and ends the evaluation."""
        cut = tuple(run.rows() for run in self._running.values() if run.predictions)
        results = b""
        try:
            results = await self._summary([rows for rows in cut if rows.images], state)
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
        left: Iterator[Shard],
        blank: RunShard,
        pool: DonorPool,
        tally: Tally,
    ) -> None:
        """Computes one missing shard after the other."""
        context, dataset = self._context, DatasetName.parse(self._stored.dataset)
        for shard in left:
            images = await self._patiently(context.datasets.images, dataset, shard.positions)
            positions = tuple(shard.positions)
            task = replace(blank, images=pool.supplied(images), positions=positions)
            run = self._running[shard.number] = ShardRun(shard.number, task, self._stored.name)
            tell = partial(self._tell, run, tally)
            computing = run.compute(context.workers, lane=Lane.BULK, told=tell)
            if self._looks is None:
                await computing
                await self._keep(run, tally)
                continue
            async with self._looks.turns.after(computing, shard.number):
                await self._keep(run, tally)
                await self._looks.at(shard.number)

    async def _keep(self, run: ShardRun, tally: Tally) -> None:
        """Stores a finished shard, and how its passes were run."""
        context, rows = self._context, run.rows()
        self._environment = context.documents.with_ways_run(self._environment, rows.ways_run)
        add = context.store.add_shard
        await self._patiently(add, self._stored.number, rows, environment=self._environment)
        del self._running[run.number]
        tally.finish(run.number)
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

    def _by_units(self, spec: EvaluationSpec) -> tuple[Shard, ...]:
        images = tuple(self._context.datasets.all_images(DatasetName.parse(self._stored.dataset)))
        return by_units(images, ImageChoice.of(images, spec).positions, seed=spec.seed)

    def _pool(self, spec: EvaluationSpec) -> DonorPool:
        images = self._context.datasets.all_images(DatasetName.parse(self._stored.dataset))
        return DonorPool.of(images, spec.seed, spec.registered)

    async def _agenda(self, spec: EvaluationSpec, finished: frozenset[int]) -> tuple[Shard, ...]:
        """All shards; of a sequential evaluation that goes on it looks at what is stored first.

        Raises:
            Decided: what is stored decides every check.
        """
        context, stored = self._context, self._stored
        document = await self._patiently(context.store.rules, stored.number)
        if not document:
            return in_order(await self._patiently(self._chosen, spec))
        rules = await context.gates.read_baseline(context.documents.read_rules(document))
        policy = context.documents.read_policy(rules.policy)
        agenda = await self._patiently(self._by_units, spec)
        turns = Turns(len(finished))  # they are stored in their order
        self._looks = Looks(context.gates, stored, rules, policy, agenda, turns)
        if finished:
            await self._looks.at(len(finished) - 1)
        return agenda

    async def _summary(self, cut: Sequence[ShardRows], state: State) -> bytes:
        context, stored = self._context, self._stored
        kept = StoredShards(context.store, stored.number, context.persistence.patiently)
        shards = (kept, HeldShards(cut))
        columns = EvaluationColumns(context.workers, stored.spec, shards, lane=Lane.BULK)
        results = await summarized(
            context.workers,
            columns,
            stored.spec,
            stored.environment,
            results=len(result_keys(context.documents.read_spec(stored.spec))),
            lane=Lane.BULK,
            stopped=state is State.STOPPED,
        )
        return results + await self._taken(state)

    async def _taken(self, state: State) -> bytes:
        """How far a sequential evaluation went, once it has its results."""
        if self._looks is None or state not in {State.SUCCEEDED, State.STOPPED}:
            return b""
        finished = self._context.store.finished_shards
        taken = self._looks.taken(len(await self._patiently(finished, self._stored.number)))
        return self._context.documents.serialized_taken(taken)


def _first(errors: BaseExceptionGroup[HeatproofError]) -> HeatproofError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, HeatproofError) else InternalError(str(error))
