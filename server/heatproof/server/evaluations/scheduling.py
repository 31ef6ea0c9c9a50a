"""Runs the stored evaluations, oldest first, and takes up what a dead server left."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final, Self

import structlog

from heatproof.evaluators.errors import HeatproofError, InternalError
from heatproof.server.evaluations.runs.evaluation_run import EvaluationRun, RunContext
from heatproof.server.evaluations.store.records import State, StoredEvaluation
from heatproof.server.resource_names import EvaluationName
from heatproof.server.storage.pages import Page, PageRequest, everything

_log = structlog.get_logger()

_RUNNING: Final = 4
"""Evaluations in work at a time: their shards take turns, so a small one need not wait for all
of a large one."""


class Scheduler:
    """Drives every unfinished evaluation to its end; used in one event loop.

    Leaving its context puts running evaluations back into the queue.
    """

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._store = context.store
        self._places = asyncio.Semaphore(_RUNNING)
        self._drivers: dict[str, asyncio.Task[None]] = {}
        self._cancelling: set[str] = set()

    async def __aenter__(self) -> Self:
        given_up = set(await asyncio.to_thread(self._store.count_deaths))
        for stored in await asyncio.to_thread(self._store.unfinished):
            self._start(stored, given_up=stored.name in given_up)
        return self

    async def __aexit__(self, *_: object) -> None:
        drivers = list(self._drivers.values())
        self._cancelling.clear()  # those who were asked to end do so at the next start
        for driver in drivers:
            driver.cancel()
        await asyncio.gather(*drivers, return_exceptions=True)

    def submit(self, stored: StoredEvaluation) -> None:
        """Takes a stored evaluation into work; one that is known already is left alone."""
        if stored.state is State.QUEUED and stored.name not in self._drivers:
            self._start(stored, given_up=False)

    async def cancel(self, name: EvaluationName) -> None:
        """Asks an evaluation to end; does nothing if it has ended or is ending.

        Raises:
            NotFoundError: there is none of this name.
        """
        stored = await asyncio.to_thread(self._store.get, name)
        driver = self._drivers.get(stored.name)
        has_ended = stored.name in self._context.endings
        if driver is None or has_ended or stored.name in self._cancelling:
            return
        if await asyncio.to_thread(self._store.begin_cancellation, stored.name):
            self._cancelling.add(stored.name)
            self._context.board.announce(stored.name)
            driver.cancel()

    async def snapshot(self, name: EvaluationName) -> StoredEvaluation:
        """An evaluation with the progress of its shards in work.

        Raises:
            NotFoundError: there is none of this name.
        """
        return self._told(await asyncio.to_thread(self._store.get, name))

    async def page(
        self, request: PageRequest, fits: Callable[[StoredEvaluation], bool] = everything
    ) -> Page[StoredEvaluation]:
        """Lists evaluations without results, with the progress of their shards in work.

        Args:
            request: which page.
            fits: whether an evaluation has room on it; called in another thread.
        """
        page = await asyncio.to_thread(
            self._store.page, request, lambda stored: fits(self._told(stored))
        )
        return replace(page, items=tuple(map(self._told, page.items)))

    async def delete(self, name: EvaluationName) -> None:
        """Deletes an evaluation and its results.

        Raises:
            NotFoundError: there is none of this name.
            FailedPreconditionError: it has not ended.
            StorageFullError: not even its end can be stored.
        """
        ending = self._context.endings.get(str(name))
        if ending is not None:
            stored = await asyncio.to_thread(self._store.get, name)
            await asyncio.to_thread(self._store.end, stored, ending)
        await asyncio.to_thread(self._store.delete, name)

    def _told(self, stored: StoredEvaluation) -> StoredEvaluation:
        """What is stored, and what this server knows beyond it."""
        if stored.state.is_final:
            return stored
        tally = self._context.board.tally(stored.name)
        if tally is not None:
            stored = replace(
                stored,
                images_done=tally.images_done,
                predictions_done=tally.predictions_done,
                predictions_known=tally.predictions_known,
            )
        ending = self._context.endings.get(stored.name)
        return stored if ending is None else ending.of(stored)

    def _start(self, stored: StoredEvaluation, *, given_up: bool) -> None:
        driver = asyncio.create_task(self._supervise(stored, given_up=given_up))
        self._drivers[stored.name] = driver
        driver.add_done_callback(lambda _: self._forget(stored.name))

    def _forget(self, name: str) -> None:
        self._drivers.pop(name, None)
        self._cancelling.discard(name)
        self._context.endings.pop(name, None)

    async def _supervise(self, stored: StoredEvaluation, *, given_up: bool) -> None:
        """Brings an evaluation to its end, whatever happens on the way."""
        run = EvaluationRun(stored, self._context)
        try:
            try:
                await self._drive(run, stored, given_up=given_up)
            except Exception as error:  # noqa: BLE001 - as above: the evaluation must end
                await run.abandon(_defect(stored, error))
        except asyncio.CancelledError:
            await self._leave(stored)
            raise

    async def _leave(self, stored: StoredEvaluation) -> None:
        """Hands an evaluation over to the next server, by one try."""
        ending = self._context.endings.get(stored.name)
        try:
            if ending is None:
                await asyncio.to_thread(self._store.requeue, stored.name)
            else:
                await asyncio.to_thread(self._store.end, stored, ending)
        except HeatproofError as error:
            _log.error("cannot store", evaluation=stored.name, error=error.message)

    async def _drive(self, run: EvaluationRun, stored: StoredEvaluation, *, given_up: bool) -> None:
        try:
            if given_up:
                await run.conclude(State.FAILED, _too_many_deaths(stored))
            elif stored.state is State.CANCELLING:
                await run.conclude(State.CANCELLED)
            else:
                await self._compute(run, stored)
        except asyncio.CancelledError:
            if stored.name not in self._cancelling:
                raise
            await run.conclude(State.CANCELLED)

    async def _compute(self, run: EvaluationRun, stored: StoredEvaluation) -> None:
        async with self._places:
            # While it is in the queue it may wait for the disk as long as it takes.
            begin = partial(self._store.begin, stored.name)
            if not await self._context.persistence.at_all_costs(begin):
                return  # it was asked to end meanwhile
            try:
                state = await run.compute()
            except HeatproofError as error:
                await run.conclude(State.FAILED, error)
            except Exception as error:  # noqa: BLE001 - whatever happens, the evaluation must end
                await run.conclude(State.FAILED, _defect(stored, error))
            else:
                await run.conclude(state)


def _too_many_deaths(stored: StoredEvaluation) -> HeatproofError:
    return InternalError(
        f"the server died twice while {stored.name} was running, so it is not tried again; look "
        "for the reason in the log of the server, or create it again",
        metadata={"evaluation": stored.name},
    )


def _defect(stored: StoredEvaluation, error: Exception) -> HeatproofError:
    """Logs a defect and tells the caller nothing but where to find it."""
    error_id = secrets.token_hex(8)
    _log.error("unexpected error", error_id=error_id, evaluation=stored.name, exc_info=error)
    return InternalError(
        f"the server failed; its log has the reason under error id {error_id}",
        metadata={"error_id": error_id},
    )
