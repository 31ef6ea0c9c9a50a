"""How many batches the runs of models take, as it was measured."""

from collections.abc import Collection
from typing import Final

import structlog
from sqlalchemy import Connection, Engine, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from heatproof.server.storage.schema import run_sizes
from heatproof.server.workers.inputs import RunSize

_log = structlog.get_logger()

MOST: Final = 256
"""Sizes that are kept of a model: of other versions and machines, none is of use for long."""


class RunSizeStore:
    """The sizes that were measured. Blocking; called outside the event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of(self, models: Collection[str]) -> tuple[RunSize, ...]:
        """What was measured of models."""
        query = select(run_sizes).where(run_sizes.c.model.in_(models))
        query = query.order_by(run_sizes.c.model, run_sizes.c.key)
        with self._engine.connect() as connection:
            return tuple(RunSize(*row) for row in connection.execute(query))

    def keep(self, sizes: Collection[RunSize]) -> None:
        """Keeps what was measured, in place of what was before; of a deleted model nothing."""
        for size in sizes:
            try:
                with self._engine.begin() as connection:
                    _put(connection, size)
            except IntegrityError:
                _log.info("a model whose runs were measured is gone", model=size.model)


def forget_run_sizes(connection: Connection, model: str) -> None:
    """Deletes what was measured of a model."""
    connection.execute(delete(run_sizes).where(run_sizes.c.model == model))


def _put(connection: Connection, size: RunSize) -> None:
    own = run_sizes.c.model == size.model
    connection.execute(delete(run_sizes).where(own, run_sizes.c.key == size.key))
    held = connection.execute(select(func.count()).select_from(run_sizes).where(own)).scalar_one()
    if held >= MOST:
        forget_run_sizes(connection, size.model)
    row = {"model": size.model, "key": size.key, "batches": size.batches}
    connection.execute(insert(run_sizes).values(**row))
