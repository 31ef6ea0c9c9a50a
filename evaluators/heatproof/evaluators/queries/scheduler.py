"""Advances many procedures side by side, so that their queries share batches."""

from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Generic, TypeAlias, TypeVar

import numpy as np

from heatproof.evaluators.queries.batching import Batcher, Recent
from heatproof.evaluators.queries.procedure import Asked, Procedure, SharedMap

T = TypeVar("T")

Answered: TypeAlias = Callable[[Any], None]

_REMEMBERED_BYTES: Final = 64 << 20
_ELEMENT_BYTES: Final = 8

Job: TypeAlias = Generator[Sequence[Procedure[Any]], Sequence[Any], T]
"""Yields procedures that may run side by side, receives their results in order, returns its own."""


@dataclass(slots=True, eq=False)
class _Running:
    """A procedure under way: it waits until all its queries are answered.

    Attributes:
        place: of the job for which it runs.
    """

    procedure: Procedure[Any]
    done: Callable[[Any], None]
    place: int
    is_started: bool = False
    answers: list[Any] = field(default_factory=list)
    missing: int = 0


@dataclass(slots=True, eq=False)
class _Forked(Generic[T]):
    """A job that waits for its procedures."""

    job: Job[T]
    done: Callable[[T], None]
    place: int
    results: list[Any] = field(default_factory=list)
    missing: int = 0


class SharedMaps:
    """Hands maps out to all who ask for equal ones: while they are made, and for a while after.

    Args:
        most: maps that are remembered, those that were asked for last.
    """

    def __init__(self, most: int) -> None:
        self._known: Recent[Hashable, Any] = Recent(most)
        self._open: dict[Hashable, list[Answered]] = {}

    def ask(self, key: Hashable, answered: Answered) -> bool:
        """Answers at once, or when the map is settled; says whether it has to be made for that."""
        known = self._known.get(key)
        if known is not None:
            answered(known)
            return False
        waiting = self._open.setdefault(key, [])
        waiting.append(answered)
        return len(waiting) == 1

    def settle(self, key: Hashable, made: object) -> None:
        """Hands a map out, or why there is none, to all who wait for it."""
        self._known.put(key, made)
        for answered in self._open.pop(key):
            answered(made)


class Scheduler(Generic[T]):
    """Runs jobs in order, a bounded number at a time, and gives their results in order.

    Answers are taken in the order in which batches were submitted, so that which rows share a batch
    is a function of the jobs and models alone. Procedures are started only while the batches are
    not full, so that memory depends neither on the number of jobs nor on the procedures in them.

    Args:
        batchers: the models by name.
        window: jobs under way at a time.
        on_batch: called after every batch.
    """

    def __init__(
        self, batchers: Mapping[str, Batcher], window: int, on_batch: Callable[[], None]
    ) -> None:
        self._batchers = batchers
        self._window = window
        self._on_batch = on_batch
        self._ready: deque[_Running] = deque()
        self._awake: deque[_Running] = deque()
        self._submitted: deque[Batcher] = deque()
        self._finished: dict[int, T] = {}
        self._maps: SharedMaps = SharedMaps(_remembered_maps(batchers.values()))

    def run(self, jobs: Iterator[Job[T]]) -> Generator[T, None, None]:
        """Runs all jobs; each is fetched when its turn comes. When it ends, no batch runs."""
        try:
            yield from self._run(jobs)
        finally:
            for batcher in self._batchers.values():
                batcher.abandon()

    def _run(self, jobs: Iterator[Job[T]]) -> Iterator[T]:
        admitted = given = 0
        exhausted = False
        while True:
            while given in self._finished:
                yield self._finished.pop(given)
                given += 1
            self._start_ready()
            if not exhausted and not self._is_full() and admitted - given < self._window:
                job = next(jobs, None)
                exhausted = job is None
                if job is not None:
                    self._admit(admitted, job)
                    admitted += 1
                continue
            if given in self._finished:
                continue
            if not self._work():
                return

    def _admit(self, index: int, job: Job[T]) -> None:
        def finish(result: T) -> None:
            self._finished[index] = result

        self._fork(_Forked(job, finish, index), first=True)

    def _fork(self, forked: _Forked[T], *, first: bool = False) -> None:
        try:
            procedures = next(forked.job) if first else forked.job.send(forked.results)
            while not procedures:
                procedures = forked.job.send([])
        except StopIteration as end:
            forked.done(end.value)
            return
        forked.results, forked.missing = [None] * len(procedures), len(procedures)
        for place, procedure in enumerate(procedures):
            joined = self._joined(forked, place)
            self._ready.append(_Running(procedure, joined, forked.place))

    def _joined(self, forked: _Forked[T], place: int) -> Callable[[Any], None]:
        def join(result: Any) -> None:  # noqa: ANN401  # procedures of a job differ in their results
            forked.results[place] = result
            forked.missing -= 1
            if not forked.missing:
                self._fork(forked)

        return join

    def _start_ready(self) -> None:
        self._resume()
        while self._ready and not self._is_full():
            self._advance(self._ready.popleft())
            self._resume()

    def _resume(self) -> None:
        while self._awake:
            self._advance(self._awake.popleft())

    def _advance(self, running: _Running) -> None:
        procedure = running.procedure
        is_first, running.is_started = not running.is_started, True
        try:
            # Answers of a model may be NaN or infinite; what comes of them gets a status.
            with np.errstate(invalid="ignore", over="ignore"):
                queries = next(procedure) if is_first else procedure.send(running.answers)
                while not queries:
                    queries = procedure.send([])
        except StopIteration as end:
            running.done(end.value)
            return
        running.answers, running.missing = [None] * len(queries), len(queries)
        for place, query in enumerate(queries):
            self._ask(query, self._answered(running, place), running.place)

    def _ask(self, query: Asked, answered: Callable[[Any], None], place: int) -> None:
        if not isinstance(query, SharedMap):
            self._batchers[query.run.model].ask(query, answered, place)
        elif self._maps.ask(query.key, answered):
            done = partial(self._maps.settle, query.key)
            self._awake.append(_Running(query.make(), done, place))

    def _answered(self, running: _Running, place: int) -> Callable[[Any], None]:
        def answered(answer: object) -> None:
            running.answers[place] = answer
            running.missing -= 1
            if not running.missing:
                # Not advanced here: an answer that is known at once would nest without end.
                self._awake.append(running)

        return answered

    def _is_full(self) -> bool:
        return any(b.fullest >= b.facts.batch_size for b in self._batchers.values())

    def _work(self) -> bool:
        """Submits a batch or takes the answers of one; says whether there was anything to do."""
        batcher = max(self._batchers.values(), key=lambda b: b.fullest / b.facts.batch_size)
        is_full = batcher.fullest >= batcher.facts.batch_size
        if batcher.waiting and (is_full or not self._submitted):
            if not batcher.submit():
                return True  # all of it was known, and goes on
            self._submitted.append(batcher)
            if batcher.in_flight < batcher.facts.in_flight:
                return True  # what else there is to run is found before the answers are awaited
        if not self._submitted:
            return False
        self._submitted.popleft().collect()
        self._on_batch()
        return True


def _remembered_maps(batchers: Iterable[Batcher]) -> int:
    """How many maps of the largest of the models fill the memory that is meant for them."""
    largest = max((b.facts.height * b.facts.width for b in batchers), default=1)
    return max(1, _REMEMBERED_BYTES // (_ELEMENT_BYTES * largest))
