"""The stored evaluations: what was asked, where they stand, and what has been computed."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from heatproof.evaluators.errors import (
    FailedPreconditionError,
    NotFoundError,
    OverloadedError,
    ResourceInUseError,
)
from heatproof.server.evaluations.store.experiences import joined, latest_experiences
from heatproof.server.evaluations.store.held_evaluations import (
    holding_off,
    is_held,
    refuse_if_held,
)
from heatproof.server.evaluations.store.records import (
    UNFINISHED,
    Ending,
    Experience,
    NewEvaluation,
    ShardRows,
    State,
    StoredEvaluation,
)
from heatproof.server.evaluations.store.row_batches import next_rows
from heatproof.server.evaluations.store.shard_rows import add_shard
from heatproof.server.evaluations.store.stored_evaluations import (
    evaluations_query,
    named_evaluation,
    requested_evaluation,
    stored_evaluation,
)
from heatproof.server.evaluations.store.tables import (
    evaluation_rules,
    evaluations,
    image_results,
    score_columns,
    shards,
)
from heatproof.server.resource_names import EvaluationName
from heatproof.server.storage import pages
from heatproof.server.storage.blob_ownership import BlobOwnership
from heatproof.server.storage.schema import claims, datasets, models

_DEATHS: Final = 2
"""Servers that may die while an evaluation is running, before it is given up."""

_RETRY_SECONDS: Final = "30"


class EvaluationStore:
    """The stored evaluations. Blocking; called outside the event loop."""

    def __init__(self, ownership: BlobOwnership, *, max_unfinished: int) -> None:
        self._ownership = ownership
        self._engine = ownership.engine
        # What ends work or deletes it must succeed on a full disk.
        self._urgent = ownership.spare.urgent
        self._max_unfinished = max_unfinished

    def add(self, new: NewEvaluation) -> StoredEvaluation:
        """Stores an evaluation in the queue and claims what it uses, in one transaction.

        A known `request_id` gives the evaluation that it created.

        Raises:
            ConflictError: the `request_id` created an evaluation of another spec.
            NotFoundError: a model or the data set has gone meanwhile.
            OverloadedError: too many evaluations have not ended.
        """
        name = str(EvaluationName.unused())
        with self._ownership.adding(name, ()) as connection:
            known = requested_evaluation(connection, new.request_id, new.spec)
            if known is not None:
                return known
            self._check_room(connection)
            _check_presence(connection, new)
            connection.execute(insert(evaluations).values(_row(name, new)))
            _claim(connection, name, new)
            stored = named_evaluation(connection, name)
            if new.rules:
                kept = {"evaluation": stored.number, "data": new.rules}
                connection.execute(insert(evaluation_rules).values(kept))
            return stored

    def requested(self, request_id: str | None, spec: bytes) -> StoredEvaluation | None:
        """The evaluation that a `request_id` has created; None if it has created none.

        Raises:
            ConflictError: it is one of another spec.
        """
        with self._engine.connect() as connection:
            return requested_evaluation(connection, request_id, spec)

    def get(self, name: EvaluationName) -> StoredEvaluation:
        """Finds an evaluation.

        Raises:
            NotFoundError: there is none of this name.
        """
        with self._engine.connect() as connection:
            return named_evaluation(connection, str(name))

    def page(
        self,
        request: pages.PageRequest,
        fits: Callable[[StoredEvaluation], bool] = pages.everything,
    ) -> pages.Page[StoredEvaluation]:
        """Lists evaluations without results, newest first; a page ends before one without room."""
        with self._engine.connect() as connection:

            def read(number: int) -> StoredEvaluation | None:
                query = evaluations_query(with_results=False).where(evaluations.c.number == number)
                row = connection.execute(query).one_or_none()
                return None if row is None else stored_evaluation(row)

            return pages.fetch(connection, evaluations, request, read, fits)

    def delete(self, name: EvaluationName) -> None:
        """Deletes an evaluation and its results.

        Raises:
            NotFoundError: there is none of this name.
            FailedPreconditionError: it has not ended, or a baseline has been set to it.
        """
        self._urgent(partial(self._delete, str(name)))

    def _delete(self, name: str) -> None:
        with holding_off(name), self._engine.begin() as connection:
            found = named_evaluation(connection, name)
            if not found.state.is_final:
                raise FailedPreconditionError(
                    f"{name} is {found.state}; cancel it or wait for its end before deleting it",
                    field="name",
                )
            refuse_if_held(connection, found.number, name)
            _delete(connection, found.number)

    def delete_ended_before(self, time: datetime) -> int:
        """Deletes the evaluations that ended before a time, but those of baselines; counts them."""
        old = select(evaluations.c.name).where(evaluations.c.end_time < time, ~is_held())
        with self._engine.connect() as connection:
            names = list(connection.scalars(old))
        for name in names:  # each in a transaction of its own: a full disk has room for one
            with suppress(NotFoundError, ResourceInUseError):  # deleted meanwhile, or held
                self._urgent(partial(self._delete, name))
        return len(names)

    def begin(self, name: str) -> bool:
        """Moves an evaluation from the queue into work; False if it is not in the queue."""
        return self._move(name, State.RUNNING, State.QUEUED)

    def requeue(self, name: str) -> None:
        """Moves an evaluation from work back into the queue, for a server that ends in peace."""
        self._move(name, State.QUEUED, State.RUNNING)

    def begin_cancellation(self, name: str) -> bool:
        """Notes that an evaluation shall end; False if it has ended or is ending."""
        return self._move(name, State.CANCELLING, State.QUEUED, State.RUNNING)

    def _move(self, name: str, to: State, *only_from: State) -> bool:
        movable = evaluations.c.state.in_([state.value for state in only_from])
        change = update(evaluations).where(evaluations.c.name == name, movable)

        def move() -> bool:
            with self._engine.begin() as connection:
                return connection.execute(change.values(state=to.value)).rowcount == 1

        return self._urgent(move)

    def end(self, evaluation: StoredEvaluation, ending: Ending) -> None:
        """Ends an evaluation and releases what it used; one that has ended is left as it is."""
        self._urgent(partial(self._end, evaluation, ending))

    def _end(self, evaluation: StoredEvaluation, ending: Ending) -> None:
        values = {
            "state": ending.state.value,
            "results": ending.results,
            "error": ending.error or None,
            "end_time": max(ending.end_time, evaluation.create_time),  # clocks are set back
        }
        with self._engine.begin() as connection:
            mine = evaluations.c.number == evaluation.number
            change = update(evaluations).where(mine, _unfinished()).values(values)
            if connection.execute(change).rowcount:
                for rows in ending.partial:
                    add_shard(connection, evaluation.number, rows)
                connection.execute(delete(claims).where(claims.c.evaluation == evaluation.name))
                judged = evaluation_rules.c.evaluation == evaluation.number
                connection.execute(delete(evaluation_rules).where(judged))

    def unfinished(self) -> tuple[StoredEvaluation, ...]:
        """All evaluations that have not ended, oldest first."""
        query = evaluations_query().where(_unfinished()).order_by(evaluations.c.number)
        with self._engine.connect() as connection:
            return tuple(map(stored_evaluation, connection.execute(query)))

    def count_deaths(self) -> tuple[str, ...]:
        """Called once by every new server: counts the death of the one before.

        Returns:
            the evaluations that were running at too many deaths, by name.
        """
        return self._urgent(self._count_deaths)

    def _count_deaths(self) -> tuple[str, ...]:
        running = evaluations.c.state == State.RUNNING.value
        with self._engine.begin() as connection:
            deaths = evaluations.c.deaths + 1
            connection.execute(update(evaluations).where(running).values(deaths=deaths))
            given_up = select(evaluations.c.name).where(running, evaluations.c.deaths >= _DEATHS)
            names = tuple(connection.scalars(given_up))
            again = update(evaluations).where(running, evaluations.c.deaths < _DEATHS)
            connection.execute(again.values(state=State.QUEUED.value))
        return names

    def rules(self, number: int) -> bytes:
        """By what an evaluation is judged while it runs, as a document; b"" if it is not."""
        query = select(evaluation_rules.c.data).where(evaluation_rules.c.evaluation == number)
        with self._engine.connect() as connection:
            return connection.scalar(query) or b""

    def add_shard(self, number: int, rows: ShardRows, *, environment: bytes = b"") -> None:
        """Stores a finished shard with all its images, or nothing.

        Args:
            number: the evaluation.
            rows: the shard.
            environment: what takes the place of the environment of the evaluation, if anything.
        """
        with self._engine.begin() as connection:
            add_shard(connection, number, rows)
            if environment:
                own = evaluations.c.number == number
                connection.execute(update(evaluations).where(own).values(environment=environment))

    def finished_shards(self, number: int) -> frozenset[int]:
        """Numbers of the stored shards of an evaluation."""
        query = select(shards.c.shard).where(shards.c.evaluation == number)
        with self._engine.connect() as connection:
            return frozenset(connection.scalars(query))

    def image_rows(
        self, number: int, columns: tuple[str, ...], *, after: int = -1, shard: int | None = None
    ) -> tuple[tuple[int, bytes], ...]:
        """A few serialised `ImageResult` messages with their positions in the data set, in order.

        They end behind a few megabytes, or one row that is larger.

        Args:
            number: the evaluation.
            columns: fields of `ImageRow` that are joined.
            after: the position before the first one that is wanted.
            shard: the only shard that is wanted; None for all.
        """
        with self._engine.connect() as connection:
            return next_rows(connection, number, columns, after=after, shard=shard)

    def all_image_rows(
        self, number: int, column: str, *, shard: int | None = None
    ) -> tuple[bytes, ...]:
        """One part of the result of every image, or those of a shard, in their order."""
        found: list[bytes] = []
        rows = self.image_rows(number, (column,), shard=shard)
        while rows:
            found += (data for _, data in rows)
            rows = self.image_rows(number, (column,), after=rows[-1][0], shard=shard)
        return tuple(found)

    def columns(self, number: int, block: int) -> dict[int, bytes]:
        """One block of the columns of every shard that has them, by its number."""
        table = score_columns
        query = select(table.c.shard, table.c.data).where(
            table.c.evaluation == number, table.c.block == block
        )
        with self._engine.connect() as connection:
            return {row.shard: row.data for row in connection.execute(query)}

    def experiences(self, models: tuple[str, ...]) -> tuple[Experience, ...]:
        """What the latest evaluations of these models have cost, newest first."""
        with self._engine.connect() as connection:
            return latest_experiences(connection, models)

    def _check_room(self, connection: Connection) -> None:
        count = connection.scalar(select(func.count()).where(_unfinished())) or 0
        if count >= self._max_unfinished:
            raise OverloadedError(
                f"{count} evaluations have not ended, the most this server keeps; retry later",
                metadata={"retry_delay_seconds": _RETRY_SECONDS},
            )


def _check_presence(connection: Connection, new: NewEvaluation) -> None:
    """Nothing that an evaluation uses may go between its planning and its claim."""
    for table, name in [(datasets, new.dataset), *((models, model) for model in new.models)]:
        if not connection.scalar(select(exists().where(table.c.name == name))):
            raise NotFoundError(f"{name} is not stored; upload it", field="spec")


def _claim(connection: Connection, name: str, new: NewEvaluation) -> None:
    rows = [{"evaluation": name, "resource": used} for used in {new.dataset, *new.models}]
    connection.execute(insert(claims), rows)


def _row(name: str, new: NewEvaluation) -> dict[str, object]:
    return {
        "name": name,
        "request_id": new.request_id,
        "spec": new.spec,
        "models": joined(new.models),
        "dataset": new.dataset,
        "state": State.QUEUED.value,
        "deaths": 0,
        "create_time": datetime.now(UTC),
        "images_total": new.images,
        "predictions_total": new.predictions,
        "results": b"",
        "environment": new.environment,
    }


def _unfinished() -> ColumnElement[bool]:
    return evaluations.c.state.in_([state.value for state in UNFINISHED])


def _delete(connection: Connection, number: int) -> None:
    for table in (image_results, score_columns, shards, evaluation_rules):
        connection.execute(delete(table).where(table.c.evaluation == number))
    connection.execute(delete(evaluations).where(evaluations.c.number == number))
