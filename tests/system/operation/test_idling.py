"""Clients that neither send nor read are let go, with a status that says why."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from heatproof.v1 import (
    dataset_service_pb2,
    evaluation_service_pb2_grpc,
    model_service_pb2,
)
from tests.system.payloads import chunk, file_info, header, model_bytes, upload
from tests.system.refusals import refused
from tests.system.serving import Served

Serve = Callable[..., AbstractContextManager[Served]]


def pausing(*messages: Any) -> Iterator[Any]:
    """Sends messages, then neither more nor the end."""
    yield from messages
    threading.Event().wait(30)


DATA = model_bytes(40)
PAUSES: list[Any] = [
    ("models", "UploadModel", []),
    ("models", "UploadModel", [header(file_info(DATA))]),
    ("models", "UploadModel", [header(file_info(DATA)), chunk(DATA[:100])]),
    ("datasets", "UploadDataset", [dataset_service_pb2.UploadDatasetRequest(header={})]),
]


@pytest.mark.parametrize(("stub", "method", "messages"), PAUSES)
def test_an_upload_that_pauses_ends_and_leaves_nothing(
    served_with: Serve, stub: str, method: str, messages: list[Any]
) -> None:
    with served_with(idle_seconds=0.3) as served:
        with refused() as refusal:
            getattr(getattr(served, stub), method)(pausing(*messages), timeout=20)
        assert refusal.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert refusal.reason == "DEADLINE_EXCEEDED"
        assert "0.3 s" in refusal.message
        assert served.leftovers == []


def test_a_request_that_never_comes_is_given_up(served_with: Serve) -> None:
    with served_with(idle_seconds=0.3) as served:
        silent = served.channel.stream_unary("/heatproof.v1.ModelService/GetModel")
        with refused() as refusal:
            silent(pausing(), timeout=20)
        assert refusal.code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_call_without_a_message_is_refused(served: Served) -> None:
    empty = served.channel.stream_unary("/heatproof.v1.ModelService/GetModel")
    with refused() as refusal:
        empty(iter([]), timeout=20)
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "no message" in refusal.message


def test_silent_requests_keep_nobody_out(served_with: Serve) -> None:
    with served_with(idle_seconds=60) as served:
        silent = served.channel.stream_unary("/heatproof.v1.ModelService/ListModels")
        calls = [silent.future(pausing(), timeout=60) for _ in range(6)]
        probes = served.channel.stream_unary("/grpc.health.v1.Health/Check")
        calls += [probes.future(pausing(), timeout=60) for _ in range(6)]
        stub = health_pb2_grpc.HealthStub(served.channel)
        assert stub.Check(health_pb2.HealthCheckRequest(), timeout=10).status == 1
        served.models.ListModels(model_service_pb2.ListModelsRequest(), timeout=10)
        for call in calls:
            call.cancel()


def test_a_download_that_nobody_reads_gives_its_place_back(served_with: Serve) -> None:
    with served_with(idle_seconds=0.3, max_computations=1) as served:
        data = model_bytes(41)
        big = {"weights.bin": bytes(24 << 20)}
        stored = served.models.UploadModel(iter(upload(data, big)))
        request = model_service_pb2.DownloadModelRequest(name=stored.name)
        unread = served.models.DownloadModel(request, timeout=60)
        deadline = time.monotonic() + 30
        while not is_admitted(served, request):
            assert time.monotonic() < deadline
        with refused() as refusal:
            for _ in unread:
                pass
        assert refusal.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "no reply was read for 0.3 s" in refusal.message


def is_admitted(served: Served, request: Any) -> bool:
    """Whether a download is taken; one that is put off ends before its first message."""
    call = served.models.DownloadModel(request, timeout=60)
    with suppress(grpc.RpcError):
        next(call)
        call.cancel()
        return True
    return False


def test_streams_beyond_the_limit_are_put_off(served_with: Serve) -> None:
    with served_with(max_streams=1) as served:
        first = health_pb2_grpc.HealthStub(served.channel).Watch(health_pb2.HealthCheckRequest())
        next(first)
        evaluations = evaluation_service_pb2_grpc.EvaluationServiceStub(served.channel)
        with refused() as refusal:
            next(evaluations.WatchEvaluation(evaluation_request(), timeout=20))
        assert (refusal.reason, refusal.metadata) == (
            "OVERLOADED",
            {"kind": "stream", "retry_delay_seconds": "5"},
        )
        first.cancel()


def evaluation_request() -> Any:
    from heatproof.v1 import evaluation_service_pb2  # noqa: PLC0415  # beside its one use

    return evaluation_service_pb2.WatchEvaluationRequest(name="evaluations/" + 20 * "0")


def test_open_calls_are_bounded_and_health_is_answered_all_the_same(served_with: Serve) -> None:
    with served_with(max_calls=2) as served:
        stub = health_pb2_grpc.HealthStub(served.channel)
        watchers = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(2)]
        for watcher in watchers:
            next(watcher)
        with refused() as refusal:
            served.models.ListModels(model_service_pb2.ListModelsRequest(), timeout=20)
        assert refusal.reason == "OVERLOADED"
        assert refusal.retry_seconds == 2
        assert stub.Check(health_pb2.HealthCheckRequest(), timeout=20).status == 1
        for watcher in watchers:
            watcher.cancel()


def test_an_idle_connection_is_closed(served_with: Serve) -> None:
    with served_with(connection_idle_seconds=0.2) as served:
        was_ready, is_closed = threading.Event(), threading.Event()

        def note(state: grpc.ChannelConnectivity) -> None:
            if state is grpc.ChannelConnectivity.READY:
                was_ready.set()
            elif was_ready.is_set():
                is_closed.set()

        served.channel.subscribe(note, try_to_connect=True)
        assert is_closed.wait(20)
