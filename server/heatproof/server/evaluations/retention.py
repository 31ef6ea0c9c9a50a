"""Deletes evaluations that ended long ago."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from heatproof.server.stores.evaluations import EvaluationStore

_log = structlog.get_logger()

_HOUR: Final = 3600.0


@asynccontextmanager
async def deleting_old(store: EvaluationStore, *, days: int) -> AsyncIterator[None]:
    """Deletes, every hour, the evaluations that ended more than `days` days ago; 0: none."""
    work = asyncio.create_task(_delete_forever(store, timedelta(days=days))) if days else None
    try:
        yield
    finally:
        if work is not None:
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work


async def _delete_forever(store: EvaluationStore, age: timedelta) -> None:
    while True:
        count = await asyncio.to_thread(store.delete_ended_before, datetime.now(UTC) - age)
        if count:
            _log.info("deleted old evaluations", count=count)
        await asyncio.sleep(_HOUR)
