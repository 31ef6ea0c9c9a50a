"""Takes the messages of requests in: bounded, then decoded off the event loop, then checked."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, cast

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from heatproof.evaluators.errors import HeatproofError, InvalidArgumentError, LimitExceededError
from heatproof.server.api.codec.reading.parsing import parsed
from heatproof.server.api.codec.reading.presence import check_required
from heatproof.server.api.codec.reading.wire import check_counts
from heatproof.server.api.interceptors.admission import KINDS, Kind
from heatproof.server.api.interceptors.bounds import MAX_COUNTS, MessageBounds, bounds_of
from heatproof.server.api.interceptors.guard import Context
from heatproof.server.api.interceptors.inbox import Arrivals, Budget, silent
from heatproof.server.settings import KIBIBYTE, MEBIBYTE, Settings

OWN: Final = "/heatproof."
"""What the methods of the contract begin with; others are health and reflection."""

_AT_ONCE_BYTES: Final = 4 * KIBIBYTE
"""Decoding so little takes less than changing threads."""
_LARGE_BYTES: Final = 4 * MEBIBYTE
"""Such messages are decoded one after the other, so that smaller ones need not wait for them."""


@dataclass(frozen=True, slots=True)
class Method:
    """What is known of a method.

    Attributes:
        name: such as `/heatproof.v1.ModelService/GetModel`.
        request: type of its request message.
    """

    name: str
    request: type[Message]


class Intake:
    """Takes in the requests of one server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._budget = Budget(settings.message_memory_bytes)
        idle = settings.idle_seconds
        # Each may bring `max_message_bytes`, which grpcio copies once more on the event loop.
        self._probes = Arrivals(places=2, patience_seconds=0.05, idle_seconds=idle)
        self._calls = Arrivals(places=2, patience_seconds=0.5, idle_seconds=idle)
        self._computations = Arrivals(places=2, patience_seconds=30.0, idle_seconds=idle)
        self._small = ThreadPoolExecutor(2, "decode")
        self._large = ThreadPoolExecutor(1, "decode-large")

    @asynccontextmanager
    async def single(self, context: Context, method: Method) -> AsyncIterator[Message]:
        """Takes in the one message of a request; its bytes count until the context is left.

        Raises:
            InvalidArgumentError: there is no message, or none of this method.
            LimitExceededError: it is larger than the method's messages may be.
            OverloadedError: the server holds too many bytes already.
            DeadlineExceededError: it does not arrive in time.
        """
        async with self._arrivals(method.name)():
            data = await _read(context)
        if data is None:
            raise InvalidArgumentError("the request has no message; send one")
        async with self._budget(len(data)):
            try:
                message = await self._decoded(data, method)
            finally:
                del data
            yield message

    async def stream(self, context: Context, method: Method) -> AsyncGenerator[Message, None]:
        """Takes in message after message; the bytes of each count until the next is asked for.

        Raises:
            InvalidArgumentError: one is no message of this method.
            LimitExceededError: one is larger than the method's messages may be.
            OverloadedError: the server holds too many bytes for too long.
            DeadlineExceededError: the client pauses for too long.
        """
        while (data := await self._next(context)) is not None:
            async with self._budget(len(data), self._settings.idle_seconds):
                try:
                    message = await self._decoded(data, method)
                finally:
                    del data
                yield message

    async def _next(self, context: Context) -> bytes | None:
        try:
            async with asyncio.timeout(self._settings.idle_seconds):
                return await _read(context)
        except TimeoutError as error:
            raise silent(self._settings.idle_seconds) from error

    def _arrivals(self, name: str) -> Arrivals:
        if not name.startswith(OWN):
            return self._probes
        return self._computations if KINDS.get(name) is Kind.COMPUTATION else self._calls

    async def _decoded(self, data: bytes, method: Method) -> Message:
        bounds = bounds_of(method.name, self._settings)
        if len(data) <= _AT_ONCE_BYTES:
            outcome = _decode(data, method, bounds)
        else:
            pool = self._large if len(data) > _LARGE_BYTES else self._small
            loop = asyncio.get_running_loop()
            outcome = await loop.run_in_executor(pool, _decode, data, method, bounds)
        # Raised here, the error's traceback keeps no frame, and thereby no bytes, alive.
        del data
        if isinstance(outcome, HeatproofError):
            raise outcome
        return outcome


async def _read(context: Context) -> bytes | None:
    """The next message; None after the last.

    The iterator that grpcio hands over would keep the bytes of its latest message alive.
    """
    data = await context.read()
    return data if isinstance(data, bytes) else None  # the end is an object of its own


def _decode(data: bytes, method: Method, bounds: MessageBounds) -> Message | HeatproofError:
    try:
        _check_size(len(data), method.name, bounds.max_bytes)
        descriptor = cast("Descriptor", method.request.DESCRIPTOR)
        count = check_counts(data, descriptor, MAX_COUNTS, bounds.max_fields)
        message = parsed(data, method.request, fields_count=count)
        if method.name.startswith(OWN):
            check_required(message)
    except HeatproofError as error:
        return type(error)(error.message, field=error.field, metadata=error.metadata)
    return message


def _check_size(size: int, method: str, most: int) -> None:
    if size > most:
        raise LimitExceededError(
            f"the message has {size} bytes; {method.rpartition('/')[2]} takes at most {most}",
            metadata={"bytes": str(size), "max_bytes": str(most)},
        )
