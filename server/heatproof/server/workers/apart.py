"""Runs each of several models in a worker of its own before they share one."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias, cast

import structlog

from heatproof.evaluators.errors import UnknownAnswerError
from heatproof.server.workers.protocol import (
    Done,
    Event,
    Failed,
    Lane,
    P,
    Partial,
    Progress,
    Task,
    V,
    Workers,
)
from heatproof.server.workers.shard_results import ImageRow, ShardTotals
from heatproof.server.workers.tasks import RunShard

_log = structlog.get_logger()

_Event: TypeAlias = Event[ImageRow, ShardTotals]
_FEWEST: Final = 2


class ApartWorkers(Workers):
    """Workers that keep what each of several models answers as the word of that model alone.

    What a worker says that has run several models is believed only where all of them are run
    again. So a shard of several is first tried without asking any. A model of which an answer
    turns out to be unknown does its part of the shard in a worker that has run no other, where its
    answers are kept; then the shard is tried again. What compares models asks for more than their
    parts, and is answered at last where all of them are.

    Args:
        workers: keep answers, each under the models that its worker has run.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    async def run(
        self, task: Task[P, V], *, lane: Lane = Lane.INTERACTIVE, seconds: float | None = None
    ) -> AsyncGenerator[Event[P, V]]:
        """Runs a task, see `Workers.run`."""
        events = self._workers.run(task, lane=lane, seconds=seconds)
        if lane is Lane.BULK and isinstance(task, RunShard) and _is_of_several(task):
            tried = _ShardOfSeveral(self._workers, task).events()
            events = cast("AsyncGenerator[Event[P, V]]", tried)  # of the types of the task
        async with aclosing(events):
            async for event in events:
                yield event


def _is_of_several(shard: RunShard) -> bool:
    """Whether a shard has models that can do their parts before."""
    return len(shard.spec.models) >= _FEWEST and not shard.no_cache


@dataclass(slots=True)
class _ShardOfSeveral:
    """A shard on its way: as it looks to whoever waits for it, it is run once.

    Attributes:
        workers: where it is run.
        task: the shard.
        unasked: the models that have not done their parts, by name.
    """

    workers: Workers
    task: RunShard
    unasked: frozenset[str] = field(init=False)
    _counts: "_Counts" = field(init=False)

    def __post_init__(self) -> None:
        self.unasked = frozenset(self.task.spec.models)
        self._counts = _Counts()

    async def events(self) -> AsyncGenerator[_Event]:
        """The events of the last attempt, with those before it in between."""
        delivered = 0
        unknown = ""
        while True:
            known = delivered
            attempt = replace(self.task, unasked=self.unasked)
            async with aclosing(self._timed(attempt)) as events:
                async for event in events:
                    unknown = self._unknown(event)
                    if isinstance(event, Partial) and known:
                        known -= 1  # an attempt yields what the one before has yielded
                    elif not unknown:
                        delivered += isinstance(event, Partial)
                        yield self._counts.told(event)
            if not unknown:
                return
            async with aclosing(self._alone(unknown)) as steps:
                async for step in steps:
                    yield step

    def _unknown(self, event: _Event) -> str:
        """The model that has to do its part first, if an attempt has failed for it."""
        if not isinstance(event, Failed) or not isinstance(event.error, UnknownAnswerError):
            return ""
        model = event.error.metadata.get("model", "")
        return model if model in self.unasked else ""

    async def _alone(self, model: str) -> AsyncGenerator[Progress]:
        """Has a model do its part; what fails alone fails with the others, and is told then."""
        self.unasked -= {model}
        spec = self.task.spec.alone(model)
        files = tuple(one for one in self.task.models if one.name == model)
        part = replace(self.task, spec=spec, models=files)
        async with aclosing(self._timed(part)) as events:
            async for event in events:
                if isinstance(event, Progress):
                    yield self._counts.of_part(event)
                elif isinstance(event, Done):
                    self._counts.end_part(event.value)
                elif isinstance(event, Failed):
                    _log.info("a model fails its part", model=model, reason=event.error.reason)

    async def _timed(self, task: RunShard) -> AsyncGenerator[_Event]:
        """Runs a task; notes how long it worked, from its first event to its end."""
        started = 0.0
        async with aclosing(self.workers.run(task, lane=Lane.BULK)) as events:
            async for event in events:
                started = started or time.monotonic()
                if isinstance(event, Done):
                    worked = time.monotonic() - started - event.value.preparation_seconds
                    self._counts.worked_for += max(worked, 0.0)
                yield event


@dataclass(slots=True)
class _Counts:
    """What all attempts together have run, as if it were one.

    Attributes:
        started: when the first attempt was taken up; 0 before.
        worked_for: seconds in which predictions were made or looked up.
        predictions: predictions of the parts.
        run: those of them that were not known.
        shown: predictions that have been told.
    """

    started: float = 0.0
    worked_for: float = 0.0
    predictions: int = 0
    run: int = 0
    shown: int = 0

    def told(self, event: _Event) -> _Event:
        """An event of the shard; what a part has run before was not known."""
        self.started = self.started or time.monotonic()
        if isinstance(event, Progress):
            return self._progress(event, event.predictions, event.known - self.run)
        if isinstance(event, Done):
            passed = time.monotonic() - self.started
            value = replace(
                event.value,
                known=max(event.value.known - self.run, 0),
                preparation_seconds=max(passed - self.worked_for, 0.0),
            )
            return Done(value)
        return event

    def of_part(self, event: Progress) -> Progress:
        """How far the shard is while a part is run."""
        known = self.predictions - self.run + event.known
        return self._progress(event, self.predictions + event.predictions, known)

    def end_part(self, totals: ShardTotals) -> None:
        """Notes what a part has run."""
        self.predictions += totals.predictions
        self.run += totals.predictions - totals.known

    def _progress(self, event: Progress, predictions: int, known: int) -> Progress:
        self.shown = max(self.shown, predictions)
        return replace(event, predictions=self.shown, known=min(max(known, 0), self.shown))
