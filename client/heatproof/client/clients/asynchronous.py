"""The client for event loops."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from types import MethodType, TracebackType
from typing import Any, Concatenate, Final, Generic, ParamSpec, Self, TypeVar, overload

import grpc
from grpc import aio  # pyright: ignore[reportAttributeAccessIssue] # the stubs forget it

from heatproof.client.clients.addresses import Address, Tls
from heatproof.client.clients.arguments import check_keywords
from heatproof.client.clients.connection import Connection
from heatproof.client.clients.effects import Effect, Flow, Pause, Stream, Unary, Upload, Work
from heatproof.client.clients.embedded import EmbeddedServer
from heatproof.client.clients.flows import (
    catalog,
    comparisons,
    consistency_weights,
    datasets,
    evaluations,
    explanations,
    gates,
    models,
    reliabilities,
)
from heatproof.client.clients.sending import Sending
from heatproof.client.clients.signatures import adopt_signature

P = ParamSpec("P")
R = TypeVar("R")


class Awaiting(Generic[P, R]):
    """A method of `AsyncClient`: a coroutine that performs a flow, with its parameters."""

    def __init__(self, flow: Callable[P, Flow[R]]) -> None:
        async def method(client: "AsyncClient", *args: P.args, **kwargs: P.kwargs) -> R:
            check_keywords(flow, kwargs)
            return await client.perform(flow(*args, **kwargs))

        adopt_signature(method, flow, "AsyncClient")
        self._flow = flow
        self._method = method
        self.__doc__ = flow.__doc__

    @overload
    def __get__(
        self, client: None, owner: type["AsyncClient"]
    ) -> Callable[Concatenate["AsyncClient", P], Coroutine[Any, Any, R]]: ...
    @overload
    def __get__(
        self, client: "AsyncClient", owner: type["AsyncClient"]
    ) -> Callable[P, Coroutine[Any, Any, R]]: ...
    def __get__(
        self, client: "AsyncClient | None", owner: type["AsyncClient"]
    ) -> Callable[..., Coroutine[Any, Any, R]]:
        return self._method if client is None else MethodType(self._method, client)


class AsyncClient:
    """Evaluates explanations on a server without blocking the event loop.

    Args:
        channel: a gRPC channel; it is closed with the client.
        server: the server that the channel leads to, if it is the client's own.
    """

    evaluate: Final = Awaiting(evaluations.evaluate)
    gate: Final = Awaiting(gates.gate)
    explain: Final = Awaiting(explanations.explain)
    inspect: Final = Awaiting(models.inspect)
    compare_models: Final = Awaiting(comparisons.compare_models)
    assess_metrics: Final = Awaiting(reliabilities.assess_metrics)
    consistency_weights: Final = Awaiting(consistency_weights.consistency_weights)
    rewrite: Final = Awaiting(models.rewrite)
    server_info: Final = Awaiting(catalog.server_info)
    upload_dataset: Final = Awaiting(datasets.upload_dataset)
    delete_model: Final = Awaiting(models.delete_model)
    delete_dataset: Final = Awaiting(datasets.delete_dataset)
    # Last, for from here on these names are the methods and no longer the modules.
    models: Final = Awaiting(models.models)
    datasets: Final = Awaiting(datasets.datasets)
    catalog: Final = Awaiting(catalog.catalog)

    def __init__(self, channel: aio.Channel, server: EmbeddedServer | None = None) -> None:
        self._channel = channel
        self._connection = Connection(channel, server)

    @classmethod
    def connect(cls, address: str, tls: Tls | None = None) -> Self:
        """Connects to a server: `host:port`, `grpcs://host:port` or `unix:path`."""
        return cls(_channel(Address.parse(address, tls)))

    @classmethod
    async def embedded(cls, data_dir: Path | None = None) -> Self:
        """Starts a server on this machine; it ends with the client.

        Args:
            data_dir: folder that keeps models and results; None: one that vanishes.

        Raises:
            ServerNotInstalledError: the server's packages are missing.
            ServerStartError: it did not come up.
        """
        server = await asyncio.to_thread(EmbeddedServer, data_dir)
        return cls(_channel(server.address), server)

    async def close(self) -> None:
        """Closes the channel and ends the client's own server."""
        await self._channel.close(None)
        await asyncio.to_thread(self._connection.end_server)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def perform(self, flow: Flow[R]) -> R:
        """Performs a flow to its end.

        Raises:
            HeatproofError: what the flow does not handle.
        """
        step: Callable[[], Effect] = partial(next, flow)
        while True:
            try:
                effect = step()
            except StopIteration as end:
                result: R = end.value
                return result
            try:
                answer = await self._answer(effect)
            # Interrupts too: the flow cancels what it has started on the server.
            except BaseException as error:  # noqa: BLE001  # the flow raises it again
                step = partial(flow.throw, error)
            else:
                step = partial(flow.send, answer)

    async def _answer(self, effect: Effect) -> object:
        match effect:
            case Work(run):
                return await asyncio.to_thread(run)
            case Pause(seconds):
                await asyncio.sleep(seconds)
                return None
        try:
            return await self._reply(effect)
        except grpc.RpcError as error:
            raise self._connection.failure(error) from None

    async def _reply(self, call: Unary | Upload | Stream) -> object:
        method = self._connection.method(call.rpc)
        match call:
            case Unary(_, request):
                return await method(request)
            case Upload(_, requests):
                with Sending(requests()) as sending:
                    return await method(sending)
            case Stream(_, request, reader):
                replies, each = method(request), reader()
                try:
                    return [kept async for reply in replies if (kept := each(reply)) is not None]
                finally:
                    replies.cancel()


def _channel(address: Address) -> aio.Channel:
    if address.tls is None:
        return aio.insecure_channel(address.target, address.options)
    return aio.secure_channel(address.target, address.tls.credentials(), address.options)
