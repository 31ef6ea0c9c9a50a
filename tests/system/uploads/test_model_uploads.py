"""Models come in as announced, once, completely or not at all."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import grpc
import pytest

from heatproof.v1 import model_service_pb2 as pb
from tests.system.payloads import (
    MIB,
    chunk,
    chunks,
    file_info,
    header,
    model_bytes,
    upload,
    with_external_data,
)
from tests.system.refusals import refused
from tests.system.serving import Served


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Waits for a condition that another process brings about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def test_a_model_is_named_by_the_digest_of_its_only_file(served: Served) -> None:
    data = model_bytes(1)
    model = served.models.UploadModel(iter(upload(data, name="one")))
    assert model.name == f"models/sha256-{hashlib.sha256(data).hexdigest()}"
    assert model.display_name == "one"
    assert [file.size_bytes for file in model.files] == [len(data)]
    assert model.facts.image_input == "image"
    assert model.facts.classes == 5
    assert model.facts.layer_masking.supported


def test_a_model_with_external_data_is_named_by_all_its_files(served: Served) -> None:
    data, weights = with_external_data("weights.bin", 2)
    model = served.models.UploadModel(iter(upload(data, {"weights.bin": weights})))
    lines = "".join(
        f"{location} {hashlib.sha256(content).hexdigest()}\n"
        for location, content in (("model.onnx", data), ("weights.bin", weights))
    )
    assert model.name == f"models/sha256-{hashlib.sha256(lines.encode()).hexdigest()}"
    assert [file.location for file in model.files] == ["model.onnx", "weights.bin"]


def test_the_second_upload_of_the_same_bytes_is_answered_before_its_chunks(served: Served) -> None:
    data = model_bytes(3)
    first = served.models.UploadModel(iter(upload(data, name="first")))
    again = served.models.UploadModel(iter([header(file_info(data), name="second")]))
    assert again == first


def test_a_model_can_be_got_listed_and_deleted(served: Served) -> None:
    stored = [
        served.models.UploadModel(iter(upload(model_bytes(seed), name=str(seed))))
        for seed in (11, 12, 13)
    ]
    assert served.models.GetModel(pb.GetModelRequest(name=stored[1].name)) == stored[1]

    page = served.models.ListModels(pb.ListModelsRequest(page_size=2))
    assert list(page.models) == [stored[2], stored[1]]
    rest = pb.ListModelsRequest(page_size=1, page_token=page.next_page_token)
    assert list(served.models.ListModels(rest).models) == [stored[0]]

    served.models.DeleteModel(pb.DeleteModelRequest(name=stored[1].name))
    with refused() as refusal:
        served.models.GetModel(pb.GetModelRequest(name=stored[1].name))
    assert refusal.code is grpc.StatusCode.NOT_FOUND
    assert stored[1].files[0].sha256 not in served.blobs
    assert stored[2].files[0].sha256 in served.blobs


def test_deleting_a_model_keeps_the_files_that_another_one_shares(served: Served) -> None:
    one, weights = with_external_data("w.bin", 4)
    other, _ = with_external_data("v.bin", 4)
    first = served.models.UploadModel(iter(upload(one, {"w.bin": weights})))
    second = served.models.UploadModel(iter(upload(other, {"v.bin": weights})))
    served.models.DeleteModel(pb.DeleteModelRequest(name=first.name))
    request = pb.DownloadModelRequest(name=second.name)
    sent = [part.chunk for part in served.models.DownloadModel(request)]
    assert b"".join(piece.data for piece in sent if piece.file == 1) == weights


DATA = model_bytes(6)
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.mark.parametrize(
    ("messages", "code", "field", "words"),
    [
        ([], "INVALID_ARGUMENT", "header", "must be the header"),
        ([chunk(DATA)], "INVALID_ARGUMENT", "header", "must be the header, not chunk"),
        ([header()], "INVALID_ARGUMENT", "header.files", "give at least one"),
        (
            [header(file_info(DATA, "net.onnx")), chunk(DATA)],
            "INVALID_ARGUMENT",
            "header.files[0].location",
            "'model.onnx', not 'net.onnx'",
        ),
        (
            [header(file_info(DATA), file_info(DATA, "a"), file_info(DATA, "a"))],
            "INVALID_ARGUMENT",
            "header.files[2].location",
            "locations are unique",
        ),
        (
            [header(file_info(DATA), file_info(DATA, "../a"))],
            "INVALID_ARGUMENT",
            "header.files[1].location",
            "plain relative paths",
        ),
        (
            [header(file_info(DATA), file_info(DATA, "/etc/passwd"))],
            "INVALID_ARGUMENT",
            "header.files[1].location",
            "plain relative paths",
        ),
        (
            [header(file_info(DATA, sha256=SHA.upper()))],
            "INVALID_ARGUMENT",
            "header.files[0].sha256",
            "64 lower-case hexadecimal digits",
        ),
        (
            [header(file_info(DATA, size_bytes=0))],
            "INVALID_ARGUMENT",
            "header.files[0].size_bytes",
            "at least 1",
        ),
        (
            [header(file_info(DATA)), header(file_info(DATA))],
            "INVALID_ARGUMENT",
            "chunk",
            "every message after the header",
        ),
        (
            [header(file_info(DATA)), chunk(DATA[:100]), chunk(DATA[101:], 101)],
            "INVALID_ARGUMENT",
            "chunk.offset",
            "at offset 101, expected 100",
        ),
        (
            [header(file_info(DATA)), chunk(DATA), chunk(b"more", len(DATA))],
            "INVALID_ARGUMENT",
            "chunk.data",
            "but more arrive",
        ),
        (
            [header(file_info(DATA)), chunk(DATA, file=1)],
            "INVALID_ARGUMENT",
            "chunk.file",
            "lists 1 files",
        ),
        (
            [header(file_info(DATA), file_info(DATA, "w")), chunk(DATA[:9]), chunk(DATA, file=1)],
            "INVALID_ARGUMENT",
            "header.files[0].size_bytes",
            "only 9 have arrived",
        ),
        (
            [header(file_info(DATA)), chunk(DATA[:-1])],
            "INVALID_ARGUMENT",
            "header.files[0].size_bytes",
            f"only {len(DATA) - 1} have arrived",
        ),
        (
            [header(file_info(bytes(2 * MIB))), chunk(bytes(MIB + 1))],
            "INVALID_ARGUMENT",
            "chunk.data",
            f"at most {MIB}",
        ),
        (
            [header(file_info(DATA, sha256="0" * 64)), chunk(DATA)],
            "DATA_LOSS",
            "header.files[0].sha256",
            "send it again",
        ),
        (
            [header(file_info(DATA, size_bytes=1 << 40))],
            "RESOURCE_EXHAUSTED",
            "header.files",
            "this server takes at most",
        ),
    ],
)
def test_what_does_not_fit_the_header_is_refused_and_leaves_nothing(
    served: Served, messages: list[Any], code: str, field: str, words: str
) -> None:
    before = served.blobs
    with refused() as refusal:
        served.models.UploadModel(iter(messages))
    assert (refusal.code.name, refusal.field) == (code, field)
    assert words in refusal.message
    assert refusal.domain == "heatproof"
    assert served.blobs == before
    assert served.leftovers == []


def test_an_upload_that_is_cut_in_the_middle_leaves_nothing(served: Served) -> None:
    data = bytes(range(256)) * 8192
    before = served.blobs
    released = threading.Event()

    def halved() -> Iterator[Any]:
        yield header(file_info(data))
        yield chunk(data[:MIB])
        released.wait(20)

    with grpc.insecure_channel(served.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        call = channel.stream_unary(
            "/heatproof.v1.ModelService/UploadModel",
            request_serializer=pb.UploadModelRequest.SerializeToString,
        ).future(halved())
        until(lambda: any(path.stat().st_size == MIB for path in served.leftovers))
    # Leaving the context has closed the connection, as a dying client does.
    released.set()
    assert call.done()
    until(lambda: served.leftovers == [])
    assert served.blobs == before


def test_uploads_of_one_model_side_by_side_give_one_model(served: Served) -> None:
    data = model_bytes(7)
    calls = [served.models.UploadModel.future(iter(upload(data))) for _ in range(4)]
    assert len({call.result().SerializeToString() for call in calls}) == 1


def test_a_full_store_says_how_much_is_free(
    served_with: Callable[..., AbstractContextManager[Served]],
) -> None:
    with served_with(quota_bytes=100) as served, refused() as refusal:
        served.models.UploadModel(iter(upload(model_bytes(8))))
    assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "100 of the store's quota of 100 bytes are free" in refusal.message
    assert "delete" in refusal.message


@pytest.mark.parametrize(
    ("request_message", "field"),
    [
        (pb.ListModelsRequest(page_size=1001), "page_size"),
        (pb.ListModelsRequest(page_size=-1), "page_size"),
        (pb.ListModelsRequest(page_token="bm9uZQ"), "page_token"),  # noqa: S106  # no password
        (pb.ListModelsRequest(page_token="!"), "page_token"),  # noqa: S106  # as above
    ],
)
def test_bad_pages_are_refused(
    served: Served, request_message: pb.ListModelsRequest, field: str
) -> None:
    with refused() as refusal:
        served.models.ListModels(request_message)
    assert (refusal.code, refusal.field) == (grpc.StatusCode.INVALID_ARGUMENT, field)


@pytest.mark.parametrize("name", ["", "models/", "models/x", "datasets/sha256-" + "0" * 64])
def test_a_bad_name_is_refused_with_the_pattern(served: Served, name: str) -> None:
    with refused() as refusal:
        served.models.GetModel(pb.GetModelRequest(name=name))
    assert (refusal.code, refusal.field) == (grpc.StatusCode.INVALID_ARGUMENT, "name")


def test_chunks_of_any_size_up_to_the_limit_give_the_same_model(served: Served) -> None:
    data = model_bytes(10)
    model = served.models.UploadModel(iter([header(file_info(data)), *chunks(data, size=97)]))
    assert model.files[0].sha256 == hashlib.sha256(data).hexdigest()
