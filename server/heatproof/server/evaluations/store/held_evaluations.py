"""Evaluations that baselines are held against: these are not deleted."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import ColumnElement, Connection, select
from sqlalchemy.exc import IntegrityError

from heatproof.evaluators.errors import ResourceInUseError
from heatproof.server.evaluations.store.tables import baselines, evaluations


def is_held() -> ColumnElement[bool]:
    """Whether a row of `evaluations` is what some baseline has been set to."""
    return evaluations.c.number.in_(select(baselines.c.evaluation))


def refuse_if_held(connection: Connection, number: int, name: str) -> None:
    """Refuses to go on with the deletion of an evaluation that a baseline names.

    Raises:
        ResourceInUseError: says which.
    """
    query = select(baselines.c.name).where(baselines.c.evaluation == number)
    holder = connection.scalar(query.order_by(baselines.c.number).limit(1))
    if holder is not None:
        raise _in_use(name, holder)


@contextmanager
def holding_off(name: str) -> Iterator[None]:
    """Tells of a baseline that has been set to an evaluation while it was being deleted.

    Raises:
        ResourceInUseError: the database has refused the deletion.
    """
    try:
        yield
    except IntegrityError as error:
        raise _in_use(name, "a baseline") from error


def _in_use(name: str, holder: str) -> ResourceInUseError:
    return ResourceInUseError(
        f"{name} is what {holder} has been set to; set that to another evaluation, or delete it "
        "(DeleteBaseline), before this one",
        field="name",
        metadata={"resource": name, "baseline": holder},
    )
