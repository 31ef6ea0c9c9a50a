"""The blocking client."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import MethodType, TracebackType
from typing import Any, Concatenate, Final, Generic, ParamSpec, Self, TypeVar, overload

import grpc

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
from heatproof.client.clients.handles import EvaluationHandle
from heatproof.client.clients.signatures import adopt_signature
from heatproof.v1.evaluation_pb2 import Evaluation

P = ParamSpec("P")
R = TypeVar("R")


class Blocking(Generic[P, R]):
    """A method of `Client`: performs a flow, with its parameters, and returns its result.

    Args:
        flow: what is performed.
        made: what the method makes of the client and the flow's result; None: it is returned.
    """

    @overload
    def __init__(self, flow: Callable[P, Flow[R]], made: None = None) -> None: ...
    @overload
    def __init__(
        self, flow: Callable[P, Flow[Any]], made: Callable[["Client", Any], R]
    ) -> None: ...
    def __init__(
        self, flow: Callable[P, Flow[Any]], made: Callable[["Client", Any], R] | None = None
    ) -> None:
        def method(client: "Client", *args: P.args, **kwargs: P.kwargs) -> Any:  # noqa: ANN401  # as the class says
            check_keywords(flow, kwargs)
            result = client.perform(flow(*args, **kwargs))
            return result if made is None else made(client, result)

        adopt_signature(method, flow, "Client", made)
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


def _handle(client: "Client", message: Evaluation) -> EvaluationHandle:
    return EvaluationHandle(client, message)


def _handles(client: "Client", messages: tuple[Evaluation, ...]) -> tuple[EvaluationHandle, ...]:
    return tuple(_handle(client, message) for message in messages)


class Client(ConnectedClient[grpc.Channel]):
    """Evaluates explanations on a server, and waits for the results."""

    evaluate: Final = Blocking(evaluations.evaluate)
    submit: Final = Blocking(evaluations.submit, _handle)
    estimate: Final = Blocking(evaluations.estimate)
    evaluation: Final = Blocking(following.evaluation, _handle)
    gate: Final = Blocking(gates.gate)
    estimate_gate: Final = Blocking(gates.estimate_gate)
    gate_evaluation: Final = Blocking(gates.gate_evaluation)
    baseline: Final = Blocking(baselines.baseline)
    baseline_revisions: Final = Blocking(baselines.baseline_revisions)
    set_baseline: Final = Blocking(baselines.set_baseline)
    delete_baseline: Final = Blocking(baselines.delete_baseline)
    explain: Final = Blocking(explanations.explain)
    model_inputs: Final = Blocking(explanations.model_inputs)
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
    baselines: Final = Blocking(baselines.baselines)
    catalog: Final = Blocking(catalog.catalog)
    evaluations: Final = Blocking(following.evaluations, _handles)

    @staticmethod
    def _open(address: Address) -> grpc.Channel:
        if address.tls is None:
            return grpc.insecure_channel(address.target, address.options)
        return grpc.secure_channel(address.target, address.tls.credentials(), address.options)

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
        return cls(cls._open(server.address), server, address=server.address)

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

    def perform(self, flow: Flow[R], *, timeout: float | None = None) -> R:
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
                answer = self._answer(effect, deadline)
            # Interrupts too: the flow cancels what it has started on the server.
            except BaseException as error:  # noqa: BLE001  # the flow raises it again
                step = partial(flow.throw, error)
            else:
                step = partial(flow.send, answer)

    def _answer(self, effect: Effect, deadline: Deadline) -> object:
        match effect:
            case Work(run):
                return run()
            case Pause(seconds):
                time.sleep(deadline.within(seconds))
                return None
            case Limit(seconds):
                deadline.restart(seconds)
                return None
        try:
            return self._reply(effect, deadline.left())
        except grpc.RpcError as error:
            if deadline.is_set and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise deadline.expired() from None
            raise self._connection.failure(error) from None

    def _reply(self, call: Unary | Upload | Stream, seconds: float | None) -> object:
        method = self._connection.method(call.rpc)
        match call:
            case Unary(_, request):
                return method(request, timeout=seconds)
            case Upload(_, requests):
                with Sending(requests()) as sending:
                    return method(sending, timeout=seconds)
            case Stream(_, request, reader):
                replies, each = method(request, timeout=seconds), reader()
                try:
                    return [kept for reply in replies if (kept := each(reply)) is not None]
                finally:
                    replies.cancel()
