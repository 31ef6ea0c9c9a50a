"""Whatever a client is ready to wait, the server's own limits end its work and say so."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from heatproof.v1 import (
    explanation_service_pb2,
    image_pb2,
    masking_service_pb2,
    model_service_pb2,
)
from tests.system.payloads import dataset, model_bytes, png, upload
from tests.system.refusals import refused
from tests.system.serving import Served

IMAGE = image_pb2.Image(encoded=png())
UNIT: Any = {"preset": "unit"}


def upload_model(served: Served, _: str) -> None:
    served.models.UploadModel(iter(upload(model_bytes(7))))


def upload_dataset(served: Served, _: str) -> None:
    served.datasets.UploadDataset(dataset(IMAGE))


def download(served: Served, model: str) -> None:
    rewrite: Any = {"mode": 2}
    list(
        served.models.DownloadModel(
            model_service_pb2.DownloadModelRequest(name=model, layer_masking=rewrite)
        )
    )


def predict(served: Served, model: str) -> None:
    served.masking.Predict(
        masking_service_pb2.PredictRequest(model=model, preprocessing=UNIT, image=IMAGE)
    )


def explain(served: Served, model: str) -> None:
    saliency: Any = {"saliency": {}}
    list(
        served.explanations.Explain(
            explanation_service_pb2.ExplainRequest(
                model=model, preprocessing=UNIT, images=[IMAGE], explainers=[saliency]
            )
        )
    )


@contextmanager
def hurried(served_with: Callable[..., Any], **seconds: float) -> Iterator[tuple[Served, str]]:
    """A server that gives tasks hardly any time, with a model from a patient one."""
    with served_with() as patient:
        model = patient.models.UploadModel(iter(upload(model_bytes()))).name
    with served_with(**seconds) as served:
        yield served, model


@pytest.mark.parametrize(
    ("act", "setting"),
    [
        (upload_model, "inspect_seconds"),
        (upload_dataset, "decode_seconds"),
        (download, "rewrite_seconds"),
        (predict, "prediction_seconds"),
        (explain, "prediction_seconds"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_every_kind_of_work_has_a_limit_that_its_refusal_names(
    served_with: Callable[..., Any], act: Callable[[Served, str], None], setting: str
) -> None:
    seconds = {setting: 1e-4, "least_request_seconds": 1e-4}
    with hurried(served_with, **seconds) as (served, model), refused() as refusal:
        act(served, model)

    assert refusal.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert f"or raise HEATPROOF_{setting.upper()}" in refusal.message
    assert refusal.metadata is not None
    assert refusal.metadata["setting"] == f"HEATPROOF_{setting.upper()}"
