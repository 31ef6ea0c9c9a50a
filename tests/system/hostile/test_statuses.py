"""Every exception becomes a `google.rpc.Status` in one place."""

import asyncio
import errno
import inspect
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any
from unittest.mock import Mock

import grpc
import pytest
from google.rpc import code_pb2, error_details_pb2

from heatproof.evaluators import errors
from heatproof.evaluators.errors import (
    HeatproofError,
    InternalError,
    InvalidArgumentError,
    OverloadedError,
)
from heatproof.server.api.interceptors.admission import Admission
from heatproof.server.api.interceptors.status import from_os_error, status_of
from heatproof.server.models.uploads import ModelUploads
from heatproof.server.settings import Settings
from heatproof.v1 import catalog_service_pb2, model_service_pb2
from tests.system.payloads import file_info, header, model_bytes
from tests.system.refusals import Refusal, refused
from tests.system.serving import Served

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, HeatproofError)
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_a_code_of_grpc_and_a_reason(kind: type[HeatproofError]) -> None:
    status = status_of(kind("what is wrong", metadata={"key": "value"}))
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert status.code == code_pb2.Code.Value(kind.code)
    assert status.message == "what is wrong"
    assert (info.domain, info.reason) == ("heatproof", kind.reason)
    assert dict(info.metadata) == {"key": "value"}
    assert info.reason.isupper()


def test_a_long_message_is_cut_so_that_the_reply_arrives() -> None:
    error = InvalidArgumentError("é" * 5000, field="f" * 5000, metadata={"m": "ü" * 5000})
    status = status_of(error)
    assert len(status.message.encode()) <= 1000
    assert status.message.endswith("...")
    # Trailers hold the message percent-encoded and the status base64-encoded, 8 KiB in all.
    assert 3 * len(status.message.encode()) + status.ByteSize() * 4 / 3 < 8192


def test_a_retry_delay_is_sent_as_retry_info() -> None:
    status = status_of(OverloadedError("full", metadata={"retry_delay_seconds": "2.5"}))
    retry = error_details_pb2.RetryInfo()
    assert status.details[-1].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == 2500


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_resource_exhausted(number: int) -> None:
    error = from_os_error(OSError(number, "full"))
    assert error is not None
    assert error.code == "RESOURCE_EXHAUSTED"


def test_other_system_errors_are_defects() -> None:
    assert from_os_error(OSError(errno.EACCES, "denied")) is None


def test_a_defect_tells_an_error_id_and_leaks_nothing(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise KeyError("secret")  # stands for any defect

    logged: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "heatproof.server.api.interceptors.disclosure._log.error",
        lambda event, **facts: logged.append({"event": event, **facts}),
    )
    monkeypatch.setattr(ModelUploads, "take", fail)
    data = model_bytes(20)
    with refused() as refusal:
        served.models.UploadModel(iter([header(file_info(data))]))
    assert refusal.code is grpc.StatusCode.INTERNAL
    assert "secret" not in refusal.message
    assert refusal.metadata is not None
    assert refusal.metadata["error_id"] in refusal.message
    (line,) = logged
    assert line["error_id"] == refusal.metadata["error_id"]
    assert isinstance(line["exc_info"], KeyError)
    assert line["place"] == "/heatproof.v1.ModelService/UploadModel"


def test_an_internal_error_that_was_not_written_for_callers_is_logged_only() -> None:
    status = status_of(InternalError("Explain: KeyError: '/srv/data' at 0x7f0011223344"), "Explain")
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert "KeyError" not in status.message
    assert info.metadata["error_id"] in status.message


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cannot identify <_io.BytesIO object at 0x7f12ab34cd56>", "cannot identify an object"),
        ("pointer 0x7f12ab34cd56 is bad", "pointer an object is bad"),
        ("no file '/srv/heat/blobs/ab/abcd'; x", "no file 'a file of the server'; x"),
        ("in /usr/lib/python3/site-packages/onnx/a.py: y", "in a file of the server: y"),
        ("read /data/incoming/0f0f, z", "read a file of the server, z"),
        ("node '/layer1/conv/Conv_output_0' of 0x10 bytes", None),
        ("location '/etc/passwd' leaves the folder of the model", None),
    ],
)
def test_addresses_and_paths_of_the_server_are_left_out(text: str, told: str | None) -> None:
    status = status_of(InvalidArgumentError(text, metadata={"text": text}))
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert status.message == info.metadata["text"] == (text if told is None else told)


def test_an_unknown_method_is_unimplemented(served: Served) -> None:
    call = served.channel.unary_unary("/heatproof.v1.ModelService/Nothing")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


class Held:
    """An upload that has begun and does not go on."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self._messages = iter([header(file_info(model_bytes(21)))])

    def __iter__(self) -> "Held":
        return self

    def __next__(self) -> Any:
        for message in self._messages:
            return message
        self.released.wait(20)
        raise StopIteration


def first_overload(served: Served) -> Refusal:
    """Uploads nonsense until it is put off: the held upload is admitted at an unknown moment."""
    for _ in range(200):
        with refused() as refusal:
            served.models.UploadModel(iter([header(file_info(b"other"))]))
        if refusal.reason == "OVERLOADED":
            return refusal
    raise AssertionError("never put off")


def test_uploads_beyond_the_limit_are_put_off_and_the_rest_stays_answered(
    served_with: Callable[..., AbstractContextManager[Served]],
) -> None:
    with served_with(max_uploads=1) as served:
        while True:
            hold = Held()
            held = served.models.UploadModel.future(hold)
            with suppress(AssertionError):  # a probe took the only place before it
                refusal = first_overload(served)
                break
        assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert refusal.reason == "OVERLOADED"
        assert refusal.retry_seconds == 2
        assert served.models.ListModels(model_service_pb2.ListModelsRequest()) is not None
        assert served.catalog.GetCatalog(catalog_service_pb2.GetCatalogRequest()).metrics
        hold.released.set()
        with refused() as cut:
            held.result()
        assert cut.code is grpc.StatusCode.INVALID_ARGUMENT
        with refused() as after:
            served.models.UploadModel(iter([header(file_info(b"other"))]))
        assert after.code is grpc.StatusCode.INVALID_ARGUMENT


def test_a_cancelled_call_gives_its_place_back() -> None:
    admission = Admission(Settings(max_uploads=1))
    method = "/heatproof.v1.ModelService/UploadModel"

    async def hold() -> None:
        async with admission(method, Mock()):
            await asyncio.Event().wait()

    async def run() -> None:
        first = asyncio.ensure_future(hold())
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await hold()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        async with admission(method, Mock()):
            pass

    asyncio.run(run())
