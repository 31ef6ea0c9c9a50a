"""The seam between the server and whatever does its heavy work.

A task runs in a failure domain of its own: its crash, its hang or its hunger for memory ends that
task alone. Closing the iterator of a running task cancels it.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar

from heatproof.evaluators.errors import HeatproofError, InternalError
from heatproof.server.workers.limits import Amount, Effort

P = TypeVar("P")
V = TypeVar("V")


class Lane(StrEnum):
    """Which queue a task waits in."""

    INTERACTIVE = "interactive"
    """Somebody waits for the answer; never waits behind bulk work."""

    INSPECTION = "inspection"
    """Models that nobody has seen yet: the likeliest to take all the time they can get."""

    BULK = "bulk"
    """Shards of durable evaluations."""


@dataclass(frozen=True, slots=True)
class Document:
    """The type of a serialised message of the contract.

    Attributes:
        message: name of the message, such as `ImageResult`.
    """

    message: str


DocumentCheck: TypeAlias = Callable[[str, bytes], None]
"""Called with the name of a message and bytes; raises ValueError if they are none."""


@dataclass(frozen=True, slots=True)
class Task(Generic[P, V]):
    """A piece of work: a picklable value.

    It may yield any number of partial results of type `P` before its value of type `V`. Equal
    tasks yield equal partial results in equal order, so a task can be started anew.

    Attributes:
        executor: `module:function` that runs the task in the worker: called with the task and a
            `TaskContext`, it emits partial results through it and returns the value.
        effort: what its duration grows with.
        way_out: what a caller can do whose task takes too long or too much memory.
        partial: type of the partial results, the only one that the server takes from a worker: a
            builtin, a container, a dataclass; or a `Document`, for its bytes.
        value: type of the value, likewise.
    """

    executor: ClassVar[str]
    effort: ClassVar[Effort] = Effort.PREDICTION
    way_out: ClassVar[str] = "smaller images or models"
    partial: ClassVar[Any] = None
    value: ClassVar[Any] = None

    def amount(self) -> Amount:
        """How much it works on; limits its time."""
        return Amount()

    def models_loaded(self) -> frozenset[str]:
        """Names of the models that it loads: a hostile one may make its worker its puppet."""
        return frozenset()

    def is_kept(self) -> bool:
        """Whether what its worker says outlasts it, so that no other model may have been there."""
        return False

    @classmethod
    def check_partial(cls, value: Any, check: DocumentCheck) -> None:  # noqa: ANN401  # of the declared type
        """Refuses a partial result that no worker of ours sends, beyond its type.

        Args:
            value: the result.
            check: checks documents in it.

        Raises:
            ValueError: it is none.
        """

    @classmethod
    def check_value(cls, value: Any, check: DocumentCheck) -> None:  # noqa: ANN401  # as above
        """Refuses a value that no worker of ours sends, beyond its type; see `check_partial`.

        Raises:
            ValueError: it is none.
        """


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a task is.

    Attributes:
        step: what is worked on, such as `image 'cat.png', deletion`; a crash is reported by it.
        predictions: predictions answered so far by this attempt.
        images: images finished by this attempt.
        known: those of the predictions that were known, so that no pass was run for them.
    """

    step: str
    predictions: int = 0
    images: int = 0
    known: int = 0


@dataclass(frozen=True, slots=True)
class NewAnswers:
    """Answers of a model that may be kept for later; what they are kept under is the server's word.

    Attributes:
        model: name of the model.
        context: SHA-256, in hexadecimal digits, of what else may change a bit of them.
        image: SHA-256 of the bytes of the image for which they were asked, likewise.
        data: a file of answers; empty where nothing is new, and what lies there was of use.
        damaged: names of files that lie there and cannot be read.
    """

    model: str
    context: str
    image: str
    data: bytes
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Partial(Generic[P]):
    """A part of the result, such as the result of one image, a map or a chunk."""

    value: P


@dataclass(frozen=True, slots=True)
class Done(Generic[V]):
    """The task has ended; last event."""

    value: V


@dataclass(frozen=True, slots=True)
class Failed:
    """The task has failed; last event."""

    error: HeatproofError


Event: TypeAlias = Progress | NewAnswers | Partial[P] | Done[V] | Failed


class Workers(Protocol):
    """Runs tasks."""

    def run(
        self, task: Task[P, V], *, lane: Lane = Lane.INTERACTIVE, seconds: float | None = None
    ) -> AsyncGenerator[Event[P, V]]:
        """Runs a task; the last event is Done or Failed.

        The failures: what the task itself raises; DeadlineExceededError after `seconds`,
        waiting included, after the time that its effort and amount grant it, or without progress;
        LimitExceededError for memory; WorkerCrashedError when its worker died twice. Partial
        results are never repeated, even when the task is started anew.

        Raises:
            OverloadedError: the lane is full.
        """
        ...

    async def stream(
        self, task: Task[P, V], *, lane: Lane = Lane.INTERACTIVE, seconds: float | None = None
    ) -> AsyncGenerator[P]:
        """Runs a task for its partial results and raises its failure."""
        async with aclosing(self.run(task, lane=lane, seconds=seconds)) as events:
            async for event in events:
                if isinstance(event, Partial):
                    yield event.value
                elif isinstance(event, Failed):
                    raise event.error

    async def call(
        self, task: Task[P, V], *, lane: Lane = Lane.INTERACTIVE, seconds: float | None = None
    ) -> V:
        """Runs a task for its value and raises its failure."""
        async with aclosing(self.run(task, lane=lane, seconds=seconds)) as events:
            async for event in events:
                if isinstance(event, Done):
                    return event.value
                if isinstance(event, Failed):
                    raise event.error
        raise InternalError(f"{type(task).__name__} ended without a result")
