"""What the client asks of the outside world, as values.

The client's logic is written once, as *flows*: generators that yield these values and get the
answers sent back, or the errors thrown in. `Client` performs them blocking, `AsyncClient`
performs them on an event loop; a test can perform them without any network.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from google.protobuf.message import Message

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Rpc:
    """Names a method of the contract.

    Attributes:
        stub: generated stub class of the service.
        method: name of the method.
    """

    stub: Callable[[Any], object]
    method: str


@dataclass(frozen=True, slots=True)
class Unary:
    """One request, one reply, which is the answer."""

    rpc: Rpc
    request: Message


@dataclass(frozen=True, slots=True)
class Upload:
    """A stream of requests, one reply, which is the answer.

    Attributes:
        requests: makes the stream afresh for every attempt.
    """

    rpc: Rpc
    requests: Callable[[], Iterator[Message]]


Reader: TypeAlias = Callable[[Any], object | None]
"""Is called with every reply of a stream; what it returns, unless None, is collected."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One request, a stream of replies; the answer is the list of what was collected.

    Attributes:
        reader: makes the reader afresh for every attempt, for one may count what it has seen.
    """

    rpc: Rpc
    request: Message
    reader: Callable[[], Reader] = field(default=lambda: lambda reply: reply)


@dataclass(frozen=True, slots=True)
class Work:
    """Work on this machine that takes long or reads files; its result is the answer."""

    run: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause in seconds; the answer is None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Limit:
    """Most seconds that the call may take from here on; the answer is None."""

    seconds: float


Effect: TypeAlias = Unary | Upload | Stream | Work | Pause | Limit
Flow: TypeAlias = Generator[Effect, Any, Result]


def limit(seconds: float | None) -> Flow[None]:
    """Bounds the call, whatever the client's own timeout is; None leaves it to that."""
    if seconds is not None:
        yield Limit(seconds)


def work(run: Callable[[], Result]) -> Flow[Result]:
    """Runs a function where it does not hold up others."""
    result: Result = yield Work(run)
    return result
