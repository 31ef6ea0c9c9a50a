"""Refuses messages without the fields that the contract requires, before any service sees them."""

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import grpc
from google.protobuf.message import Message
from grpc import aio  # pyright: ignore[reportAttributeAccessIssue] # the stubs forget it

from heatproof.server.codec.presence import check_required
from heatproof.server.interceptors.guard import Behaviour, Context, Handler, rewrapped

_PREFIX: Final = "/heatproof."


class ValidationInterceptor(aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
    """Checks every message of Heatproof's own services for its required fields."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Wraps the handler that the rest of the chain finds."""
        handler = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(_PREFIX):
            return handler
        return rewrapped(handler, _checked)


def _checked(behaviour: Behaviour) -> Behaviour:
    if inspect.isasyncgenfunction(behaviour):
        return functools.partial(_stream, behaviour)
    return functools.partial(_single, behaviour)


async def _single(behaviour: Behaviour, request: Any, context: Context) -> Any:  # noqa: ANN401  # any message
    return await behaviour(_checked_request(request), context)


async def _stream(behaviour: Behaviour, request: Any, context: Context) -> AsyncIterator[Any]:  # noqa: ANN401  # as above
    async for reply in behaviour(_checked_request(request), context):
        yield reply


def _checked_request(request: Message | AsyncIterator[Message]) -> Message | AsyncIterator[Message]:
    if isinstance(request, Message):
        check_required(request)
        return request
    return _checked_messages(request)


async def _checked_messages(messages: AsyncIterator[Message]) -> AsyncIterator[Message]:
    async for message in messages:
        check_required(message)
        yield message
