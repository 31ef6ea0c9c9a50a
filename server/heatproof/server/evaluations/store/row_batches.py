"""Reads the results of images in batches that are bounded in rows and bytes."""

from collections.abc import Iterable, Iterator
from typing import Final

from sqlalchemy import Connection, select

from heatproof.server.evaluations.store.tables import image_results

ROWS_AT_ONCE: Final = 256
BYTES_AT_ONCE: Final = 1 << 22
"""Bytes behind which no further row is read at once; one alone may be larger."""

_BUFFERED: Final = 16
"""Rows that PostgreSQL may send ahead."""


def next_rows(
    connection: Connection,
    number: int,
    columns: tuple[str, ...],
    *,
    after: int,
    shard: int | None,
) -> tuple[tuple[int, bytes], ...]:
    """Positions and joined columns of the next rows of an evaluation, in order.

    Args:
        connection: of the database.
        number: the evaluation.
        columns: fields of `ImageRow`.
        after: the position before the first one that is wanted.
        shard: the only shard that is wanted; None for all.
    """
    table = image_results
    within = () if shard is None else (table.c.shard == shard,)
    query = (
        select(table.c.position, *(table.c[column] for column in columns))
        .where(table.c.evaluation == number, table.c.position > after, *within)
        .order_by(table.c.position)
        .limit(ROWS_AT_ONCE)
    )
    # A file hands over row by row, PostgreSQL all of them unless it is told to stream.
    streams = connection.dialect.supports_server_side_cursors
    options = {"stream_results": True, "max_row_buffer": _BUFFERED} if streams else {}
    with connection.execute(query, execution_options=options) as found:
        joined = ((row[0], b"".join(row[1:])) for row in found)
        return tuple(_up_to_bound(joined))


def _up_to_bound(rows: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    held = 0
    for row in rows:
        yield row
        held += len(row[1])
        if held >= BYTES_AT_ONCE:
            return
