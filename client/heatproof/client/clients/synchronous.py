"""The blocking client."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import MethodType, TracebackType
from typing import Concatenate, Final, Generic, ParamSpec, Self, TypeVar, overload

import grpc

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


class Blocking(Generic[P, R]):
    """A method of `Client`: performs a flow, with its parameters, and returns its result."""

    def __init__(self, flow: Callable[P, Flow[R]]) -> None:
        def method(client: "Client", *args: P.args, **kwargs: P.kwargs) -> R:
            check_keywords(flow, kwargs)
            return client.perform(flow(*args, **kwargs))

        adopt_signature(method, flow, "Client")
        self._flow = flow
        self._method = method
        self.__doc__ = flow.__doc__

    @overload
    def __get__(
        self, client: None, owner: type["Client"]
    ) -> Callable[Concatenate["Client", P], R]: ...
    @overload
    def __get__(self, client: "Client", owner: type["Client"]) -> Callable[P, R]: ...
    def __get__(self, client: "Client | None", owner: type["Client"]) -> Callable[..., R]:
        return self._method if client is None else MethodType(self._method, client)


class Client:
    """Evaluates explanations on a server, and waits for the results.

    Args:
        channel: a gRPC channel; it is closed with the client.
        server: the server that the channel leads to, if it is the client's own.
    """

    evaluate: Final = Blocking(evaluations.evaluate)
    gate: Final = Blocking(gates.gate)
    explain: Final = Blocking(explanations.explain)
    inspect: Final = Blocking(models.inspect)
    compare_models: Final = Blocking(comparisons.compare_models)
    assess_metrics: Final = Blocking(reliabilities.assess_metrics)
    consistency_weights: Final = Blocking(consistency_weights.consistency_weights)
    rewrite: Final = Blocking(models.rewrite)
    server_info: Final = Blocking(catalog.server_info)
    upload_dataset: Final = Blocking(datasets.upload_dataset)
    delete_model: Final = Blocking(models.delete_model)
    delete_dataset: Final = Blocking(datasets.delete_dataset)
    # Last, for from here on these names are the methods and no longer the modules.
    models: Final = Blocking(models.models)
    datasets: Final = Blocking(datasets.datasets)
    catalog: Final = Blocking(catalog.catalog)

    def __init__(self, channel: grpc.Channel, server: EmbeddedServer | None = None) -> None:
        self._channel = channel
        self._connection = Connection(channel, server)

    @classmethod
    def connect(cls, address: str, tls: Tls | None = None) -> Self:
        """Connects to a server: `host:port`, `grpcs://host:port` or `unix:path`."""
        return cls(_channel(Address.parse(address, tls)))

    @classmethod
    def embedded(cls, data_dir: Path | None = None) -> Self:
        """Starts a server on this machine; it ends with the client.

        Args:
            data_dir: folder that keeps models and results; None: one that vanishes.

        Raises:
            ServerNotInstalledError: the server's packages are missing.
            ServerStartError: it did not come up.
        """
        server = EmbeddedServer(data_dir)
        return cls(_channel(server.address), server)

    def close(self) -> None:
        """Closes the channel and ends the client's own server."""
        self._channel.close()
        self._connection.end_server()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def perform(self, flow: Flow[R]) -> R:
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
                answer = self._answer(effect)
            # Interrupts too: the flow cancels what it has started on the server.
            except BaseException as error:  # noqa: BLE001  # the flow raises it again
                step = partial(flow.throw, error)
            else:
                step = partial(flow.send, answer)

    def _answer(self, effect: Effect) -> object:
        match effect:
            case Work(run):
                return run()
            case Pause(seconds):
                time.sleep(seconds)
                return None
        try:
            return self._reply(effect)
        except grpc.RpcError as error:
            raise self._connection.failure(error) from None

    def _reply(self, call: Unary | Upload | Stream) -> object:
        method = self._connection.method(call.rpc)
        match call:
            case Unary(_, request):
                return method(request)
            case Upload(_, requests):
                with Sending(requests()) as sending:
                    return method(sending)
            case Stream(_, request, reader):
                replies, each = method(request), reader()
                try:
                    return [kept for reply in replies if (kept := each(reply)) is not None]
                finally:
                    replies.cancel()


def _channel(address: Address) -> grpc.Channel:
    if address.tls is None:
        return grpc.insecure_channel(address.target, address.options)
    return grpc.secure_channel(address.target, address.tls.credentials(), address.options)
