"""Keeps the answers that workers hand over, and says which ones a task may believe."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import cast

import structlog

from heatproof.server.answers.answer_store import AnswerStore
from heatproof.server.answers.folders import AnswerPlace, cohort_of
from heatproof.server.workers.inputs import AnswerGrant
from heatproof.server.workers.protocol import Event, Lane, NewAnswers, P, Task, V, Workers
from heatproof.server.workers.tasks import Explain, RunShard

_log = structlog.get_logger()


class KeepingWorkers(Workers):
    """Workers whose answers to evaluations and explanations are kept, and believed.

    Small evaluations that somebody waits for read what is kept, and keep nothing: their models
    share workers. A worker is believed only about the models and images of its task.
    """

    def __init__(self, workers: Workers, answers: AnswerStore) -> None:
        self._workers = workers
        self._answers = answers

    async def run(
        self, task: Task[P, V], *, lane: Lane = Lane.INTERACTIVE, seconds: float | None = None
    ) -> AsyncGenerator[Event[P, V]]:
        """Runs a task, see `Workers.run`; of equal queries to equal models one has been run."""
        granted = task
        if isinstance(task, RunShard | Explain) and not task.no_cache:
            keeps = lane is Lane.BULK or isinstance(task, Explain)
            cohorts = await asyncio.to_thread(self._answers.believed, task.models_loaded())
            informed = replace(task, answers=AnswerGrant(cohorts, keeps))
            granted = cast("Task[P, V]", informed)  # of the types of the task that it replaces
        async with aclosing(self._workers.run(granted, lane=lane, seconds=seconds)) as events:
            async for event in events:
                if not isinstance(event, NewAnswers):
                    yield event
                elif isinstance(granted, RunShard | Explain):
                    await asyncio.to_thread(self._keep, granted, event)

    def _keep(self, task: RunShard | Explain, found: NewAnswers) -> None:
        grant, models = task.answers, task.models_loaded()
        images = {image.digest for image in task.images}
        if grant is None or found.model not in models or found.image not in images:
            _log.warning("a worker hands over answers to what it was not asked")
            return
        try:
            for cohort in grant.cohorts:
                place = AnswerPlace(found.model, cohort, found.context, found.image)
                self._answers.drop(place, found.damaged)
                if not found.data:
                    self._answers.keep(place, models, b"")
            if found.data and grant.keeps:
                place = AnswerPlace(found.model, cohort_of(models), found.context, found.image)
                self._answers.keep(place, models, found.data)
        except ValueError as error:
            _log.warning("a worker names no place of answers", error=str(error))
