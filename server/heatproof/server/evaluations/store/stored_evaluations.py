"""Reads evaluations from their rows."""

from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, func, literal, select

from heatproof.evaluators.errors import ConflictError, NotFoundError
from heatproof.server.evaluations.store.records import State, StoredEvaluation
from heatproof.server.evaluations.store.tables import evaluations, shards
from heatproof.server.storage.schema import utc

_SUMMED: Final = ("images", "predictions", "known")
"""Columns of shards whose sums tell how far an evaluation is."""


def evaluations_query(*, with_results: bool = True) -> Select[Any]:
    """Asks for every column, and how far the shards are; results may be megabytes."""
    results: ColumnElement[bytes] = evaluations.c.results
    others = [column for column in evaluations.c if column is not results]
    own = shards.c.evaluation == evaluations.c.number
    sums = (
        select(func.coalesce(func.sum(shards.c[name]), 0))
        .where(own)
        .scalar_subquery()
        .label(f"{name}_sum")
        for name in _SUMMED
    )
    return select(*others, results if with_results else literal(b"").label("results"), *sums)


def named_evaluation(connection: Connection, name: str) -> StoredEvaluation:
    """Finds an evaluation by its name.

    Raises:
        NotFoundError: there is none of this name.
    """
    row = connection.execute(evaluations_query().where(evaluations.c.name == name)).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no {name}; ListEvaluations lists those there are")
    return stored_evaluation(row)


def stored_evaluation(row: Row[Any]) -> StoredEvaluation:
    """Reads a row of `evaluations_query`."""
    return StoredEvaluation(
        number=row.number,
        name=row.name,
        spec=row.spec,
        dataset=row.dataset,
        state=State(row.state),
        error=row.error or b"",
        create_time=utc(row.create_time),
        end_time=None if row.end_time is None else utc(row.end_time),
        images_total=row.images_total,
        images_done=row.images_sum,
        predictions_total=row.predictions_total,
        predictions_done=row.predictions_sum,
        results=row.results,
        environment=row.environment,
        predictions_known=row.known_sum,
    )


def requested_evaluation(
    connection: Connection, request_id: str | None, spec: bytes
) -> StoredEvaluation | None:
    """The evaluation that a request id has created; None without one, or if there is none.

    Raises:
        ConflictError: it is one of another spec.
    """
    if request_id is None:
        return None
    query = evaluations_query().where(evaluations.c.request_id == request_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    if row.spec != spec:
        raise ConflictError(
            f"request_id {request_id} has created {row.name} of another spec; draw a new one",
            field="request_id",
            metadata={"evaluation": row.name},
        )
    return stored_evaluation(row)
