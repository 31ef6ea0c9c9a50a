"""Registers every method as one that takes a stream of bytes.

A call is thereby admitted before its request arrives, and what a request would become is known
before it is decoded.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

import grpc
from grpc import aio  # pyright: ignore[reportAttributeAccessIssue] # the stubs forget it

from heatproof.server.api.interceptors.delivery import checked, deliver
from heatproof.server.api.interceptors.guard import Behaviour, Context, Handler, behaviour_of
from heatproof.server.api.interceptors.intake import Intake, Method
from heatproof.server.settings import Settings


class ReadingInterceptor(aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
    """Reads the requests of every method, and writes the replies of those that send many."""

    def __init__(self, settings: Settings) -> None:
        self._intake = Intake(settings)
        self._seconds = settings.idle_seconds

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Wraps the handler that the rest of the chain finds."""
        handler = await continuation(handler_call_details)
        if handler is None:  # unknown methods have no handler
            return handler
        # Generated code and grpcio's own services give the bound method of the message's class.
        kind = cast("Any", handler.request_deserializer).__self__
        method = Method(handler_call_details.method, kind)
        reader = _Reader(self._intake, method, behaviour_of(handler), self._seconds)
        read = reader.from_stream if handler.request_streaming else reader.from_message
        make = _MAKERS[bool(handler.response_streaming)]
        return make(read, None, handler.response_serializer)


_MAKERS = (grpc.stream_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler)


@dataclass(frozen=True, slots=True)
class _Reader:
    """The calls of a method."""

    intake: Intake
    method: Method
    behaviour: Behaviour
    seconds: float

    async def from_message(self, _: object, context: Context) -> Any:  # noqa: ANN401  # any reply
        async with self.intake.single(context, self.method) as request:
            return await self._replied(request, context)

    async def from_stream(self, _: object, context: Context) -> Any:  # noqa: ANN401  # as above
        async with aclosing(self.intake.stream(context, self.method)) as requests:
            return await self._replied(requests, context)

    async def _replied(self, request: Any, context: Context) -> Any:  # noqa: ANN401  # a message or many
        replies = self.behaviour(request, context)
        if isinstance(replies, AsyncGenerator):
            return await deliver(replies, context, self.seconds)
        return checked(await replies)
