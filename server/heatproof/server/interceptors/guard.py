"""Runs every call of every kind inside a context manager."""

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias

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
        return rewrapped(handler, self._around(handler_call_details.method))

    def _around(self, method: str) -> Callable[[Behaviour], Behaviour]:
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
    make, behaviour = _MAKERS[handler.request_streaming, handler.response_streaming](handler)
    return make(wrap(behaviour), handler.request_deserializer, handler.response_serializer)


_MAKERS: Final[
    Mapping[tuple[bool, bool], Callable[[Any], tuple[Callable[..., Handler], Behaviour]]]
] = MappingProxyType(
    {
        (False, False): lambda handler: (grpc.unary_unary_rpc_method_handler, handler.unary_unary),
        (False, True): lambda handler: (grpc.unary_stream_rpc_method_handler, handler.unary_stream),
        (True, False): lambda handler: (grpc.stream_unary_rpc_method_handler, handler.stream_unary),
        (True, True): lambda handler: (
            grpc.stream_stream_rpc_method_handler,
            handler.stream_stream,
        ),
    }
)
"""Maker and behaviour of a handler, by whether requests and replies are streams."""
