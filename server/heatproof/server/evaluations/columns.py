"""The columns of an evaluation's shards, a block at a time, and what is summarized from them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeVar

from heatproof.evaluators.evaluation.column_blocks import blocks_of
from heatproof.server.evaluations.store.evaluation_store import EvaluationStore
from heatproof.server.evaluations.store.records import ShardRows
from heatproof.server.workers.protocol import Lane, Workers
from heatproof.server.workers.statistics_tasks import SummarizeImages, SummarizeScores, TabulateRows

T = TypeVar("T")

IMAGES: Final = 0
"""The block that tells of images; those of scores follow."""


class Reader(Protocol):
    """Does blocking work off the event loop."""

    async def __call__(self, work: Callable[[], T], /) -> T:
        """Does it."""
        ...


class Shards(Protocol):
    """Shards that have been computed."""

    async def numbers(self) -> Iterable[int]:
        """Numbers of the shards."""
        ...

    async def columns(self, block: int) -> Mapping[int, bytes]:
        """A block of every shard that has columns, by its number."""
        ...

    async def rows(self, shard: int) -> tuple[bytes, ...]:
        """Serialised `ImageResult` messages of a shard, with curves."""
        ...


class HeldShards:
    """Shards in memory: of an evaluation on the spot, or cut short by its end."""

    def __init__(self, shards: Iterable[ShardRows]) -> None:
        self._shards = {rows.shard: rows for rows in shards}

    async def numbers(self) -> Iterable[int]:
        """Numbers of the shards."""
        return self._shards

    async def columns(self, block: int) -> Mapping[int, bytes]:
        """A block of every shard that was finished."""
        return {n: rows.columns[block] for n, rows in self._shards.items() if rows.columns}

    async def rows(self, shard: int) -> tuple[bytes, ...]:
        """The results of a shard."""
        return tuple(image.curves for image in self._shards[shard].images)


@dataclass(frozen=True, slots=True)
class StoredShards:
    """Shards in the store.

    Attributes:
        store: the evaluations.
        evaluation: number of the evaluation.
        read: reads the store.
    """

    store: EvaluationStore
    evaluation: int
    read: Reader

    async def numbers(self) -> Iterable[int]:
        """Numbers of the shards."""
        return await self.read(partial(self.store.finished_shards, self.evaluation))

    async def columns(self, block: int) -> Mapping[int, bytes]:
        """A block of every shard but those that a release without columns wrote."""
        return await self.read(partial(self.store.columns, self.evaluation, block))

    async def rows(self, shard: int) -> tuple[bytes, ...]:
        """The results of a shard."""
        rows = partial(self.store.all_image_rows, self.evaluation, "curves", shard=shard)
        return await self.read(rows)


class EvaluationColumns:
    """The columns of all shards of an evaluation; what is missing is made from rows."""

    def __init__(
        self, workers: Workers, spec: bytes, shards: Sequence[Shards], *, lane: Lane
    ) -> None:
        self._workers = workers
        self._spec = spec
        self._shards = shards
        self._lane = lane
        self._made: dict[int, tuple[bytes, ...]] = {}

    async def block(self, block: int) -> tuple[bytes, ...]:
        """A block of every shard, in the order of the shards."""
        owners = await self._owners()
        held = {n: data for s in self._shards for n, data in (await s.columns(block)).items()}
        for shard in owners:
            if shard not in held and shard not in self._made:
                await self._make(shard, None)
        held |= {shard: blocks[block] for shard, blocks in self._made.items()}
        return tuple(held[shard] for shard in owners)

    async def recount(self, place: int, counted: tuple[int, ...]) -> None:
        """Makes a shard's columns anew, with the curves of other images."""
        await self._make(list(await self._owners())[place], counted)

    async def _owners(self) -> dict[int, Shards]:
        """Who holds each shard, in the order of the shards."""
        owners = {number: shards for shards in self._shards for number in await shards.numbers()}
        return dict(sorted(owners.items()))

    async def _make(self, shard: int, counted: tuple[int, ...] | None) -> None:
        rows = await (await self._owners())[shard].rows(shard)
        task = TabulateRows(self._spec, rows, counted)
        self._made[shard] = await self._workers.call(task, lane=self._lane)


async def summarized(
    workers: Workers,
    columns: EvaluationColumns,
    spec: bytes,
    environment: bytes,
    *,
    results: int,
    lane: Lane,
    stopped: bool = False,
) -> bytes:
    """Summarizes an evaluation, a block of results at a time.

    Args:
        workers: where it is done.
        columns: the shards.
        spec: serialised `EvaluationSpec`.
        environment: serialised `Evaluation` with the readings of the models.
        results: how many results the spec has.
        lane: where the tasks wait.
        stopped: whether its scores decided how many images it has.

    Returns:
        Serialised `Evaluation` with the results, clean accuracy, sampling and warnings.
    """
    images = await columns.block(IMAGES)
    told = await workers.call(SummarizeImages(spec, images, environment, stopped), lane=lane)
    for place, counted in told.recounted:
        await columns.recount(place, counted)
    if told.recounted:
        images = await columns.block(IMAGES)
    parts = [told.summary]
    for block, span in enumerate(blocks_of(results), IMAGES + 1):
        scores = await columns.block(block)
        task = SummarizeScores(spec, images, span.start, scores, stopped)
        parts.append(await workers.call(task, lane=lane))
    return b"".join(parts)
