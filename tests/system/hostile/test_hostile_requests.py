"""Whatever bytes come, the answer is a status of the contract that tells nothing of the inside."""

import base64
import random
import re
from typing import Any

import grpc
import pytest
from grpc_status import rpc_status

from heatproof.server.models.downloads import ModelDownloads
from heatproof.v1 import (
    dataset_service_pb2,
    evaluation_service_pb2,
    explanation_service_pb2,
    image_pb2,
    masking_service_pb2,
    model_pb2,
    model_service_pb2,
)
from tests.system.payloads import chunk, dataset, file_info, header, model_bytes, png, upload
from tests.system.refusals import refused
from tests.system.serving import Served

LEAKS = re.compile(r"0x[0-9a-f]{6,}|Traceback|/blobs/|/incoming/|site-packages|<class|Error\b")


def token(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "bad",
    [
        "?",
        "é",
        "a" * 50_000,
        token("before:99999999999999999999"),
        token("before:9223372036854775808"),
        token("before:-1"),
        token("before:0"),
        token("before:1_0"),
        token("before:\u0663"),
        token("after:1"),
    ],
)
@pytest.mark.parametrize("stub", ["models", "datasets"])
def test_a_page_token_of_nobody_is_refused(served: Served, stub: str, bad: str) -> None:
    with refused() as refusal:
        if stub == "models":
            served.models.ListModels(model_service_pb2.ListModelsRequest(page_token=bad))
        else:
            served.datasets.ListDatasets(dataset_service_pb2.ListDatasetsRequest(page_token=bad))
    assert (refusal.code.name, refusal.field) == ("INVALID_ARGUMENT", "page_token")
    assert len(refusal.message) < 1000


@pytest.mark.parametrize(
    "data", [b"\x07", b"\x0a\x05ab", b"\x0b\x0c", b"\xff" * 20, b"\x0a\x01\xff"]
)
def test_bytes_that_are_no_message_are_refused(served: Served, data: bytes) -> None:
    for method in (
        "ModelService/GetModel",
        "ExplanationService/Explain",
        "ModelService/UploadModel",
    ):
        call = served.channel.stream_stream(f"/heatproof.v1.{method}")
        with refused() as refusal:
            list(call(iter([data]), timeout=20))
        assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
        assert not LEAKS.search(refusal.message)


def test_a_refused_model_names_its_file(served: Served) -> None:
    with refused() as refusal:
        served.models.UploadModel(iter(upload(b"no model")))
    assert refusal.field == "header.files[0]"


def test_a_download_that_a_deletion_overtakes_is_not_found(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = served.models.UploadModel(iter(upload(model_bytes(60))))
    digest = stored.name.removeprefix("models/sha256-")
    send = ModelDownloads.send

    async def overtaken(self: ModelDownloads, *rest: Any) -> Any:
        async for part in send(self, *rest):
            for path in (served.settings.data_dir / "blobs").glob(f"*/{digest}"):
                path.unlink()
            yield part

    monkeypatch.setattr(ModelDownloads, "send", overtaken)
    with refused() as refusal:
        list(served.models.DownloadModel(model_service_pb2.DownloadModelRequest(name=stored.name)))
    assert (refusal.code, refusal.field) == (grpc.StatusCode.NOT_FOUND, "name")
    served.models.DeleteModel(model_service_pb2.DeleteModelRequest(name=stored.name))


def requests(stored: model_pb2.Model) -> dict[str, list[Any]]:
    """A sound request of each method that changes nothing, and of both uploads."""
    image = image_pb2.Image(encoded=png(), label=1)
    asked = {
        "models": [stored.name],
        "preprocessing": {"preset": "unit"},
        "metrics": [{"deletion": {"grid": 2, "steps": 2}}],
        "explainers": [{"centre": {}}],
        "removals": [{"black": {}}],
    }
    unit = {"preset": "unit"}
    data = model_bytes(61)
    return {
        "ModelService/GetModel": [model_service_pb2.GetModelRequest(name=stored.name)],
        "ModelService/ListModels": [model_service_pb2.ListModelsRequest(page_size=2)],
        "ModelService/DownloadModel": [model_service_pb2.DownloadModelRequest(name=stored.name)],
        "ModelService/UploadModel": [header(file_info(data)), chunk(data)],
        "DatasetService/UploadDataset": list(dataset(image)),
        "DatasetService/ListDatasets": [dataset_service_pb2.ListDatasetsRequest(page_size=2)],
        "EvaluationService/Evaluate": [
            evaluation_service_pb2.EvaluateRequest(spec=asked, images=[image])
        ],
        "EvaluationService/CreateEvaluation": [
            evaluation_service_pb2.CreateEvaluationRequest(spec=asked, validate_only=True)
        ],
        "EvaluationService/GateEvaluation": [
            evaluation_service_pb2.GateEvaluationRequest(name="evaluations/" + 20 * "0")
        ],
        "EvaluationService/CompareModels": [
            evaluation_service_pb2.CompareModelsRequest(name="evaluations/" + 20 * "0")
        ],
        "EvaluationService/AssessMetrics": [
            evaluation_service_pb2.AssessMetricsRequest(name="evaluations/" + 20 * "0")
        ],
        "ExplanationService/Explain": [
            explanation_service_pb2.ExplainRequest(
                model=stored.name, preprocessing=unit, images=[image], explainers=[{"centre": {}}]
            )
        ],
        "MaskingService/Predict": [
            masking_service_pb2.PredictRequest(model=stored.name, preprocessing=unit, image=image)
        ],
    }


def damaged(messages: list[Any], rng: random.Random) -> list[bytes]:
    """Bytes changed, lost and added; messages lost, repeated and out of order."""
    raw = [bytearray(message.SerializeToString()) for message in messages]
    for _ in range(rng.randint(1, 6)):
        data = rng.choice(raw)
        place = rng.randrange(len(data) + 1)
        match rng.randrange(4):
            case 0:
                data[place : place + 1] = rng.randbytes(1)
            case 1:
                del data[place : place + rng.randint(1, 9)]
            case 2:
                data[place:place] = rng.randbytes(rng.randint(1, 9))
            case 3:
                del data[place:]
    order = (
        rng.choices(range(len(raw)), k=rng.randint(0, 3)) if rng.random() < 0.3 else range(len(raw))
    )
    return [bytes(raw[index]) for index in order]


@pytest.mark.parametrize("seed", range(6))
def test_damaged_requests_are_refused_by_the_contract(
    served: Served, model: model_pb2.Model, seed: int
) -> None:
    rng = random.Random(seed)  # noqa: S311  # the same damage every time
    for method, messages in requests(model).items():
        call = served.channel.stream_stream(f"/heatproof.v1.{method}")
        sent = damaged(messages, rng)
        try:
            list(call(iter(sent), timeout=60))
        except grpc.RpcError as error:
            check(error, f"{method} {sent!r:.200}")


def check(error: Any, sent: str) -> None:
    assert rpc_status.from_call(error) is not None, sent
    assert error.code().name not in {"INTERNAL", "UNKNOWN", "UNIMPLEMENTED"}, sent
    assert not LEAKS.search(error.details()), (error.details(), sent)
