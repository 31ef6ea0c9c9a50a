"""The client for event loops."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from types import MethodType, TracebackType
from typing import Any, Concatenate, Final, Generic, ParamSpec, Self, TypeVar, overload

import grpc
from grpc import aio  # pyright: ignore[reportAttributeAccessIssue] # the stubs forget it

from heatproof.client.clients.arguments import check_keywords
from heatproof.client.clients.connected import ConnectedClient
from heatproof.client.clients.connections.addresses import Address
from heatproof.client.clients.connections.embedded import EmbeddedServer
from heatproof.client.clients.connections.sending import Sending
from heatproof.client.clients.deadlines import Deadline
from heatproof.client.clients.effects import (
    Effect,
    Flow,
    Limit,
    Pause,
    Stream,
    Unary,
    Upload,
    Work,
)
from heatproof.client.clients.flows import (
    baselines,
    catalog,
    comparisons,
    consistency_weights,
    datasets,
    evaluations,
    explanations,
    following,
    gates,
    models,
    reliabilities,
)
from heatproof.client.clients.handles import AsyncEvaluationHandle
from heatproof.client.clients.signatures import adopt_signature
from heatproof.v1.evaluation_pb2 import Evaluation

P = ParamSpec("P")
R = TypeVar("R")


class Awaiting(Generic[P, R]):
    """A method of `AsyncClient`: a coroutine that performs a flow, with its parameters.

    Args:
        flow: what is performed.
        made: what the method makes of the client and the flow's result; None: it is returned.
    """

    @overload
    def __init__(self, flow: Callable[P, Flow[R]], made: None = None) -> None: ...
    @overload
    def __init__(
        self, flow: Callable[P, Flow[Any]], made: Callable[["AsyncClient", Any], R]
    ) -> None: ...
    def __init__(
        self,
        flow: Callable[P, Flow[Any]],
        made: Callable[["AsyncClient", Any], R] | None = None,
    ) -> None:
        async def method(client: "AsyncClient", *args: P.args, **kwargs: P.kwargs) -> Any:  # noqa: ANN401  # as the class says
            check_keywords(flow, kwargs)
            result = await client.perform(flow(*args, **kwargs))
            return result if made is None else made(client, result)

        adopt_signature(method, flow, "AsyncClient", made)
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


def _handle(client: "AsyncClient", message: Evaluation) -> AsyncEvaluationHandle:
    return AsyncEvaluationHandle(client, message)


def _handles(
    client: "AsyncClient", messages: tuple[Evaluation, ...]
) -> tuple[AsyncEvaluationHandle, ...]:
    return tuple(_handle(client, message) for message in messages)


class AsyncClient(ConnectedClient[aio.Channel]):
    """Evaluates explanations on a server without blocking the event loop."""

    evaluate: Final = Awaiting(evaluations.evaluate)
    submit: Final = Awaiting(evaluations.submit, _handle)
    estimate: Final = Awaiting(evaluations.estimate)
    evaluation: Final = Awaiting(following.evaluation, _handle)
    gate: Final = Awaiting(gates.gate)
    estimate_gate: Final = Awaiting(gates.estimate_gate)
    gate_evaluation: Final = Awaiting(gates.gate_evaluation)
    baseline: Final = Awaiting(baselines.baseline)
    baseline_revisions: Final = Awaiting(baselines.baseline_revisions)
    set_baseline: Final = Awaiting(baselines.set_baseline)
    delete_baseline: Final = Awaiting(baselines.delete_baseline)
    explain: Final = Awaiting(explanations.explain)
    model_inputs: Final = Awaiting(explanations.model_inputs)
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
    baselines: Final = Awaiting(baselines.baselines)
    catalog: Final = Awaiting(catalog.catalog)
    evaluations: Final = Awaiting(following.evaluations, _handles)

    @staticmethod
    def _open(address: Address) -> aio.Channel:
        if address.tls is None:
            return aio.insecure_channel(address.target, address.options)
        return aio.secure_channel(address.target, address.tls.credentials(), address.options)

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
        return cls(cls._open(server.address), server, address=server.address)

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

    async def perform(self, flow: Flow[R], *, timeout: float | None = None) -> R:
        """Performs a flow to its end.

        Args:
            flow: what is done.
            timeout: most seconds; None: those of the client.

        Raises:
            HeatproofError: what the flow does not handle.
        """
        deadline = Deadline(self._timeout if timeout is None else timeout)
        step: Callable[[], Effect] = partial(next, flow)
        while True:
            try:
                effect = step()
            except StopIteration as end:
                result: R = end.value
                return result
            try:
                answer = await self._answer(effect, deadline)
            # Interrupts too: the flow cancels what it has started on the server.
            except BaseException as error:  # noqa: BLE001  # the flow raises it again
                step = partial(flow.throw, error)
            else:
                step = partial(flow.send, answer)

    async def _answer(self, effect: Effect, deadline: Deadline) -> object:
        match effect:
            case Work(run):
                return await asyncio.to_thread(run)
            case Pause(seconds):
                await asyncio.sleep(deadline.within(seconds))
                return None
            case Limit(seconds):
                deadline.restart(seconds)
                return None
        try:
            return await self._reply(effect, deadline.left())
        except grpc.RpcError as error:
            if deadline.is_set and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise deadline.expired() from None
            raise self._connection.failure(error) from None

    async def _reply(self, call: Unary | Upload | Stream, seconds: float | None) -> object:
        method = self._connection.method(call.rpc)
        match call:
            case Unary(_, request):
                return await method(request, timeout=seconds)
            case Upload(_, requests):
                with Sending(requests()) as sending:
                    return await method(sending, timeout=seconds)
            case Stream(_, request, reader):
                replies, each = method(request, timeout=seconds), reader()
                try:
                    return [kept async for reply in replies if (kept := each(reply)) is not None]
                finally:
                    replies.cancel()
