"""How long each method of the clients may take."""

import asyncio
from collections.abc import Iterator, Mapping
from concurrent import futures
from pathlib import Path
from types import MappingProxyType
from typing import Any

import grpc
import pytest

from heatproof.client import (
    AsyncClient,
    AsyncEvaluationHandle,
    Client,
    DeadlineExceededError,
    EvaluationHandle,
    Gradient,
    UsageError,
)
from heatproof.client.clients.deadlines import Deadline
from heatproof.client.clients.synchronous import Blocking
from heatproof.v1.evaluation_pb2 import Evaluation
from tests.client import fakes
from tests.client.canned import png
from tests.client.clients.flows.test_evaluations import QUESTION

DATASET = f"datasets/sha256-{'d' * 64}"
MODEL = f"models/sha256-{'0' * 64}"
ASKED: Mapping[str, tuple[tuple[Any, ...], Mapping[str, Any]]] = MappingProxyType(
    {
        "evaluate": ((MODEL, png()), QUESTION),
        "submit": ((MODEL, png()), QUESTION),
        "estimate": ((MODEL, png()), QUESTION),
        "evaluation": (("evaluations/e1",), {}),
        "gate": ((MODEL, png()), {}),
        "estimate_gate": ((MODEL, png()), {}),
        "gate_evaluation": (("evaluations/e1",), {}),
        "baseline": (("main",), {}),
        "baseline_revisions": (("main",), {}),
        "set_baseline": (("main", "evaluations/e1"), {}),
        "delete_baseline": (("main",), {}),
        "baselines": ((), {}),
        "explain": ((MODEL, png()), {"preprocessing": "unit", "explainers": "grad_cam"}),
        "model_inputs": ((MODEL, png()), {"preprocessing": "unit"}),
        "inspect": ((MODEL,), {}),
        "compare_models": (("evaluations/e1",), {}),
        "assess_metrics": (("evaluations/e1",), {}),
        "consistency_weights": ((MODEL, png()), {"preprocessing": "unit"}),
        "rewrite": ((MODEL, "out.onnx", Gradient()), {}),
        "server_info": ((), {}),
        "upload_dataset": ((png(),), {}),
        "delete_model": ((MODEL,), {}),
        "delete_dataset": ((DATASET,), {}),
        "models": ((), {}),
        "datasets": ((), {}),
        "catalog": ((), {}),
        "evaluations": ((), {}),
    }
)
"""What each method is asked."""

JUDGING = {"gate", "estimate_gate", "gate_evaluation"}
"""Methods that are given a policy."""

METHODS = [name for name, kind in vars(Client).items() if isinstance(kind, Blocking)]


class Down(grpc.GenericRpcHandler):
    """Has no answer to any call."""

    def service(self, handler_call_details: Any) -> Any:
        del handler_call_details
        # On the wire a status without replies is the same for all kinds of methods.
        return grpc.stream_stream_rpc_method_handler(self._abort)

    def _abort(self, requests: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        del requests
        yield context.abort(grpc.StatusCode.UNAVAILABLE, "restarting")


@pytest.fixture
def down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that answers nothing; what is downloaded goes elsewhere."""
    monkeypatch.chdir(tmp_path)
    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[Down()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def arguments(name: str, policy: Path) -> tuple[tuple[Any, ...], dict[str, Any]]:
    given, named = ASKED[name]
    return given, {**named, **({"policy": policy} if name in JUDGING else {})}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_ends_when_its_time_is_up(down: str, policy_file: Path, name: str) -> None:
    given, named = arguments(name, policy_file)
    with (
        Client.connect(down) as client,
        pytest.raises(DeadlineExceededError, match=r"timeout of 0\.05 s"),
    ):
        getattr(client, name)(*given, timeout=0.05, **named)


@pytest.mark.parametrize("name", METHODS)
def test_every_coroutine_ends_when_its_time_is_up(down: str, policy_file: Path, name: str) -> None:
    async def asked() -> None:
        given, named = arguments(name, policy_file)
        async with AsyncClient.connect(down) as other:
            await getattr(other, name)(*given, timeout=0.05, **named)

    with pytest.raises(DeadlineExceededError, match=r"timeout of 0\.05 s"):
        asyncio.run(asked())


HANDLED = ("refresh", "watch", "result", "cancel", "delete")
RUNNING = Evaluation(name="evaluations/e1", state=Evaluation.STATE_RUNNING)


@pytest.mark.parametrize("name", HANDLED)
def test_every_method_of_a_handle_ends_when_its_time_is_up(down: str, name: str) -> None:
    with (
        Client.connect(down) as client,
        pytest.raises(DeadlineExceededError, match=r"timeout of 0\.05 s"),
    ):
        getattr(EvaluationHandle(client, RUNNING), name)(timeout=0.05)


@pytest.mark.parametrize("name", HANDLED)
def test_every_coroutine_of_a_handle_ends_when_its_time_is_up(down: str, name: str) -> None:
    async def asked() -> None:
        async with AsyncClient.connect(down) as other:
            await getattr(AsyncEvaluationHandle(other, RUNNING), name)(timeout=0.05)

    with pytest.raises(DeadlineExceededError, match=r"timeout of 0\.05 s"):
        asyncio.run(asked())


def test_a_method_s_own_timeout_is_stronger_than_the_client_s(
    client: Client, script: fakes.Script
) -> None:
    restarting = [fakes.status("UNAVAILABLE", "restarting")]
    script.failures["GetCatalog"] = 2 * restarting  # pauses of 0.2 and 0.4 s
    with pytest.raises(DeadlineExceededError, match=r"timeout of 0\.1 s"):
        client.with_timeout(0.1).catalog()

    script.failures["GetCatalog"] = 2 * restarting
    client.with_timeout(0.1).catalog(timeout=30)


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_timeout_is_a_length_of_time(client: Client, seconds: float) -> None:
    with pytest.raises(UsageError, match="above 0"):
        client.with_timeout(seconds)
    with pytest.raises(UsageError, match="above 0"):
        client.models(timeout=seconds)


def test_a_pause_is_no_longer_than_what_is_left_of_a_call() -> None:
    assert 0 < Deadline(5).within(60) <= 5
    assert Deadline(5).within(0.1) == 0.1
    assert Deadline(None).within(60) == 60
