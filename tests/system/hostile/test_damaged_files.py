"""A stored file whose bytes have changed is never scored or sent; the next upload repairs it."""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import cv2
import grpc
import numpy as np
import pytest

from heatproof.server.storage.integrity import Verifier
from heatproof.v1 import dataset_service_pb2, evaluation_service_pb2, evaluation_service_pb2_grpc
from heatproof.v1 import evaluation_pb2 as pb
from heatproof.v1 import model_service_pb2 as models
from tests.system.payloads import model_bytes, upload, with_external_data
from tests.system.refusals import Refusal, refused
from tests.system.serving import Served


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def blob(served: Served, digest: str) -> Path:
    return served.settings.data_dir / "blobs" / digest[:2] / digest


def flip(path: Path) -> None:
    """Changes one bit in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def picture() -> bytes:
    pixels = np.random.default_rng(5).integers(0, 255, (20, 20, 3), np.uint8)
    return cv2.imencode(".bmp", pixels)[1].tobytes()  # no checksum of its own


def upload_pictures(served: Served) -> str:
    image = {"encoded": picture(), "display_name": "one"}
    requests = [
        dataset_service_pb2.UploadDatasetRequest(header={"display_name": "pictures"}),
        dataset_service_pb2.UploadDatasetRequest(image=image),
    ]
    name: str = served.datasets.UploadDataset(iter(requests)).name
    return name


def spec(model: str, dataset: str) -> pb.EvaluationSpec:
    return pb.EvaluationSpec(
        models=[model],
        dataset=dataset,
        preprocessing={"preset": "unit"},
        explainers=[{"saliency": {}}],
        metrics=[{"deletion": {"grid": 4, "steps": 4}}],
        removals=[{"black": {}}],
    )


def evaluate(served: Served, model: str, dataset: str) -> pb.Evaluation:
    """Creates an evaluation and waits for its end."""
    stub = evaluation_service_pb2_grpc.EvaluationServiceStub(served.channel)
    request = evaluation_service_pb2.CreateEvaluationRequest(spec=spec(model, dataset))
    name = stub.CreateEvaluation(request, timeout=60).evaluation.name
    *_, last = stub.WatchEvaluation(
        evaluation_service_pb2.WatchEvaluationRequest(name=name), timeout=60
    )
    assert isinstance(last, pb.Evaluation)
    return last


def damage_found(refusal: Refusal, digest: str) -> None:
    assert refusal.code is grpc.StatusCode.DATA_LOSS
    assert refusal.reason == "DAMAGED_FILE"
    assert digest in refusal.message
    assert "upload" in refusal.message


@pytest.mark.parametrize("hurt", [flip, Path.unlink])
def test_a_damaged_image_fails_its_evaluation_and_is_repaired(
    served_with: Callable[..., AbstractContextManager[Served]], hurt: Callable[[Path], None]
) -> None:
    with served_with() as served:
        model = served.models.UploadModel(iter(upload(model_bytes()))).name
        dataset = upload_pictures(served)
        assert evaluate(served, model, dataset).state == pb.Evaluation.STATE_SUCCEEDED
        path = blob(served, sha256(picture()))
        hurt(path)

        found = evaluate(served, model, dataset)
        assert found.state == pb.Evaluation.STATE_FAILED
        assert sha256(picture()) in found.error.message
        assert found.error.code == grpc.StatusCode.DATA_LOSS.value[0]
        assert not path.exists()
        moved = served.settings.data_dir / "quarantine" / path.name
        assert moved.exists() == (hurt is flip)

        assert upload_pictures(served) == dataset
        assert path.read_bytes() == picture()
        assert evaluate(served, model, dataset).state == pb.Evaluation.STATE_SUCCEEDED


@pytest.mark.parametrize("location", ["model.onnx", "weights.bin"])
def test_a_damaged_model_is_neither_scored_nor_sent_until_it_comes_again(
    served_with: Callable[..., AbstractContextManager[Served]], location: str
) -> None:
    data, weights = with_external_data("weights.bin", 4)
    files = {"model.onnx": data, "weights.bin": weights}
    with served_with() as served:
        messages = upload(data, {"weights.bin": weights})
        model = served.models.UploadModel(iter(messages)).name
        dataset = upload_pictures(served)
        path = blob(served, sha256(files[location]))
        flip(path)

        stub = evaluation_service_pb2_grpc.EvaluationServiceStub(served.channel)
        with refused() as refusal:
            request = evaluation_service_pb2.CreateEvaluationRequest(spec=spec(model, dataset))
            stub.CreateEvaluation(request, timeout=60)
        damage_found(refusal, path.name)
        with refused() as refusal:
            list(served.models.DownloadModel(models.DownloadModelRequest(name=model)))
        damage_found(refusal, path.name)

        assert served.models.UploadModel(iter(messages)).name == model
        assert path.read_bytes() == files[location]
        assert evaluate(served, model, dataset).state == pb.Evaluation.STATE_SUCCEEDED


def test_an_upload_repairs_what_nobody_has_read_since_it_was_damaged(
    served_with: Callable[..., AbstractContextManager[Served]],
) -> None:
    with served_with() as served:
        messages = upload(model_bytes(7))
        model = served.models.UploadModel(iter(messages))
        flip(blob(served, sha256(model_bytes(7))))
        assert served.models.UploadModel(iter(messages)) == model
        assert blob(served, sha256(model_bytes(7))).read_bytes() == model_bytes(7)


def test_a_blob_is_read_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = sha256(b"bytes")
    path = tmp_path / digest[:2] / digest
    path.parent.mkdir()
    path.write_bytes(b"bytes")
    os.utime(path, ns=(0, 0))  # clocks of file systems are coarse
    reads: list[Path] = []
    real = Path.open
    monkeypatch.setattr(
        Path, "open", lambda self, *a, **o: (reads.append(self), real(self, *a, **o))[1]
    )
    verifier = Verifier()
    assert verifier.is_sound(path)
    assert verifier.is_sound(path)
    assert len(reads) == 1
    path.write_bytes(b"other")
    assert not verifier.is_sound(path)
    assert not verifier.is_sound(path)


def check(data_dir: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "heatproof.server", "--check", f"--data-dir={data_dir}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_check_tells_every_damage_and_serves_nothing(
    served_with: Callable[..., AbstractContextManager[Served]],
) -> None:
    with served_with() as served:
        served.models.UploadModel(iter(upload(model_bytes(7))))
        upload_pictures(served)
        data_dir = served.settings.data_dir
        busy = check(data_dir)
        assert (busy.returncode, busy.stdout) == (2, "")
        assert "another server" in busy.stderr
    sound = check(data_dir)
    assert sound.returncode == 0
    assert "0 faults" in sound.stdout

    flip(blob(served, sha256(model_bytes(7))))
    blob(served, sha256(picture())).unlink()
    (data_dir / "blobs" / "ab").mkdir()
    (data_dir / "blobs" / "ab" / ("ab" * 32)).write_bytes(b"of nobody")
    for _ in range(2):  # it changes nothing
        found = check(data_dir)
        assert found.returncode == 1
        assert re.search(f"{sha256(model_bytes(7))} of models/.*other bytes", found.stdout)
        assert re.search(f"{sha256(picture())} of datasets/.*missing", found.stdout)
        assert re.search(f"{'ab' * 32}: belongs to no model", found.stdout)
        assert "3 faults" in found.stdout
