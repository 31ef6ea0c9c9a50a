"""What evaluations of the same models have cost."""

from typing import Final

from sqlalchemy import Connection, func, select

from heatproof.server.evaluations.store.records import Experience
from heatproof.server.evaluations.store.tables import evaluations, shards

_MOST: Final = 32


def latest_experiences(connection: Connection, models: tuple[str, ...]) -> tuple[Experience, ...]:
    """What the latest evaluations of these models have cost, newest first.

    Shards of which more than a tenth was known are left out: they tell nothing of what passes cost.
    """
    sums = [func.sum(shards.c[name]) for name in ("images", "predictions", "seconds")]
    query = (
        select(evaluations.c.spec, *sums)
        .join(evaluations, evaluations.c.number == shards.c.evaluation)
        .where(evaluations.c.models == joined(models), 10 * shards.c.known <= shards.c.predictions)
        .group_by(evaluations.c.number, evaluations.c.spec)
        .order_by(evaluations.c.number.desc())
        .limit(_MOST)
    )
    return tuple(Experience(*row) for row in connection.execute(query))


def joined(models: tuple[str, ...]) -> str:
    """How a table names the models of an evaluation."""
    return " ".join(sorted(models))
