"""Runs every call of every kind inside a context manager."""

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias, cast

import grpc
from grpc import aio  # pyright: ignore[reportAttributeAccessIssue] # the stubs forget it

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Context: TypeAlias = "aio.ServicerContext[Any, Any]"
Behaviour: TypeAlias = Callable[[Any, Context], Any]


class Guard(Protocol):
    """Surrounds a call; what it raises on entry refuses the call."""

    def __call__(self, method: str, context: Context) -> AbstractAsyncContextManager[None]:
        """Opens for a call of `method`, such as `/heatproof.v1.ModelService/GetModel`."""
        ...


class GuardInterceptor(aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
    """Puts a guard around every call."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Wraps the handler that the rest of the chain finds."""
        handler = await continuation(handler_call_details)
        if handler is None:  # unknown methods have no handler
            return handler
        return rewrapped(handler, self._context(handler_call_details.method))

    def _context(self, method: str) -> Callable[[Behaviour], Behaviour]:
        def wrap(behaviour: Behaviour) -> Behaviour:
            if inspect.isasyncgenfunction(behaviour):
                return functools.partial(self._stream, method, behaviour)
            return functools.partial(self._single, method, behaviour)

        return wrap

    async def _single(
        self,
        method: str,
        behaviour: Behaviour,
        request: Any,  # noqa: ANN401  # any message
        context: Context,
    ) -> Any:  # noqa: ANN401  # as above
        async with self._guard(method, context):
            return await behaviour(request, context)

    async def _stream(
        self,
        method: str,
        behaviour: Behaviour,
        request: Any,  # noqa: ANN401  # as above
        context: Context,
    ) -> AsyncIterator[Any]:
        async with self._guard(method, context):
            async for reply in behaviour(request, context):
                yield reply


def rewrapped(handler: Handler, wrap: Callable[[Behaviour], Behaviour]) -> Handler:
    """The same handler with its behaviour wrapped."""
    make = _MAKERS[handler.request_streaming, handler.response_streaming]
    wrapped = wrap(behaviour_of(handler))
    return make(wrapped, handler.request_deserializer, handler.response_serializer)


def behaviour_of(handler: Handler) -> Behaviour:
    """What a handler runs: the one of its four arms that is filled."""
    arms = (handler.unary_unary, handler.unary_stream, handler.stream_unary, handler.stream_stream)
    return cast("Behaviour", next(arm for arm in arms if arm is not None))


_MAKERS: Final[Mapping[tuple[bool, bool], Callable[..., Handler]]] = MappingProxyType(
    {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
)
"""Makers of handlers, by whether requests and replies are streams."""
