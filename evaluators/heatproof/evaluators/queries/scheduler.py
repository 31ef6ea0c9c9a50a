"""Advances many procedures side by side, so that their queries share batches."""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np

from heatproof.evaluators.queries.batching import Packer
from heatproof.evaluators.queries.procedure import Answer, Procedure

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """A procedure and the model that it asks."""

    packer: Packer
    procedure: Procedure[Any]


Job: TypeAlias = Generator[Sequence[Task], Sequence[Any], T]
"""Yields tasks that may run side by side, receives their results in order, returns its own."""


@dataclass(slots=True, eq=False)
class _Running:
    """A task under way: it waits until all its queries are answered."""

    task: Task
    done: Callable[[Any], None]
    answers: list[Answer | None] = field(default_factory=list)
    missing: int = 0


@dataclass(slots=True, eq=False)
class _Forked(Generic[T]):
    """A job that waits for its tasks."""

    job: Job[T]
    done: Callable[[T], None]
    results: list[Any] = field(default_factory=list)
    missing: int = 0


class Rounds(Generic[T]):
    """Runs jobs in order, a bounded number at a time, and gives their results in order.

    Single-threaded, and a function of the jobs alone: which rows share a batch depends on nothing
    else. Procedures are started only while the batches are not full, so that memory depends neither
    on the number of jobs nor on the procedures in them.

    Args:
        packers: the models.
        window: jobs under way at a time.
        on_batch: called after every batch.
    """

    def __init__(
        self, packers: Sequence[Packer], window: int, on_batch: Callable[[], None]
    ) -> None:
        self._packers = packers
        self._window = window
        self._on_batch = on_batch
        self._ready: deque[_Running] = deque()
        self._awake: deque[_Running] = deque()
        self._finished: dict[int, T] = {}

    def run(self, jobs: Iterator[Job[T]]) -> Iterator[T]:
        """Runs all jobs; each is fetched when its turn comes."""
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
            if not self._flush():
                return

    def _admit(self, index: int, job: Job[T]) -> None:
        def finish(result: T) -> None:
            self._finished[index] = result

        self._fork(_Forked(job, finish), first=True)

    def _fork(self, forked: _Forked[T], *, first: bool = False) -> None:
        try:
            tasks = next(forked.job) if first else forked.job.send(forked.results)
            while not tasks:
                tasks = forked.job.send([])
        except StopIteration as end:
            forked.done(end.value)
            return
        forked.results, forked.missing = [None] * len(tasks), len(tasks)
        for place, task in enumerate(tasks):
            self._ready.append(_Running(task, self._joined(forked, place)))

    def _joined(self, forked: _Forked[T], place: int) -> Callable[[Any], None]:
        def join(result: Any) -> None:  # noqa: ANN401  # tasks of a job differ in their results
            forked.results[place] = result
            forked.missing -= 1
            if not forked.missing:
                self._fork(forked)

        return join

    def _start_ready(self) -> None:
        self._resume()
        while self._ready and not self._is_full():
            self._advance(self._ready.popleft(), first=True)
            self._resume()

    def _resume(self) -> None:
        while self._awake:
            self._advance(self._awake.popleft())

    def _advance(self, running: _Running, *, first: bool = False) -> None:
        procedure = running.task.procedure
        try:
            # Answers of a model may be NaN or infinite; what comes of them gets a status.
            with np.errstate(invalid="ignore", over="ignore"):
                queries = next(procedure) if first else procedure.send(_all(running.answers))
                while not queries:
                    queries = procedure.send([])
        except StopIteration as end:
            running.done(end.value)
            return
        running.answers, running.missing = [None] * len(queries), len(queries)
        for place, query in enumerate(queries):
            running.task.packer.ask(query, self._answered(running, place))

    def _answered(self, running: _Running, place: int) -> Callable[[Answer], None]:
        def answered(answer: Answer) -> None:
            running.answers[place] = answer
            running.missing -= 1
            if not running.missing:
                # Not advanced here: an answer that is known at once would nest without end.
                self._awake.append(running)

        return answered

    def _is_full(self) -> bool:
        return any(packer.fullest >= packer.facts.batch_size for packer in self._packers)

    def _flush(self) -> bool:
        """Runs the packer with the fullest lane; says whether there was anything to run."""
        packer = max(self._packers, key=lambda packer: packer.fullest / packer.facts.batch_size)
        if not packer.waiting:
            return False
        packer.run()
        self._on_batch()
        return True


def _all(answers: Sequence[Answer | None]) -> list[Answer]:
    return [answer for answer in answers if answer is not None]
