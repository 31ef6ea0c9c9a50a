"""Moves stored files aside that a worker has found damaged."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from heatproof.evaluators.errors import (
    DamagedFileError,
    HeatproofError,
    NotFoundError,
)
from heatproof.server.storage.blob_ownership import BlobOwnership
from heatproof.server.workers.protocol import (
    Event,
    Failed,
    Lane,
    P,
    Task,
    V,
    Workers,
)


class RepairingWorkers(Workers):
    """Workers whose word on damaged files is checked and acted upon."""

    def __init__(self, workers: Workers, ownership: BlobOwnership) -> None:
        self._workers = workers
        self._ownership = ownership

    async def run(
        self, task: Task[P, V], *, lane: Lane = Lane.INTERACTIVE, seconds: float | None = None
    ) -> AsyncGenerator[Event[P, V]]:
        """Runs a task, see `Workers.run`; a file that it finds damaged is moved aside."""
        async with aclosing(self._workers.run(task, lane=lane, seconds=seconds)) as events:
            async for event in events:
                yield await self._looked_into(event) if isinstance(event, Failed) else event

    async def _looked_into(self, failure: Failed) -> Failed:
        error = failure.error
        if not isinstance(error, DamagedFileError):
            return failure
        return Failed(await asyncio.to_thread(self._verdict, error))

    def _verdict(self, error: DamagedFileError) -> HeatproofError:
        """What is to be told; a worker may be wrong or lie, so the file is read again."""
        digest = error.metadata.get("sha256", "")
        if not self._ownership.knows(digest):
            return NotFoundError("what the request names was deleted meanwhile; upload it again")
        self._ownership.quarantine_if_damaged(digest)
        return error
