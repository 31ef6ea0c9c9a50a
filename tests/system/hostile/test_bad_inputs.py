"""Hostile and mistaken inputs: each is refused with its field, its fault and a way out."""

import math
import struct
import time
import zlib
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import onnx
import onnx.parser
import pytest

from heatproof.v1 import (
    explanation_service_pb2,
    image_pb2,
    masking_service_pb2,
    model_pb2,
    preprocessing_pb2,
)
from tests.system.payloads import (
    dataset,
    model_bytes,
    png,
    tensor,
    tiny_model,
    upload,
    with_external_data,
)
from tests.system.refusals import refused
from tests.system.serving import Served

SOURCE, MODEL_INPUT = image_pb2.FRAME_SOURCE, image_pb2.FRAME_MODEL_INPUT


def of_unknown_domain() -> bytes:
    model = tiny_model()
    model.graph.node[1].domain = "com.example"
    model.opset_import.add(domain="com.example", version=1)
    return model.SerializeToString()


def without_image_input() -> bytes:
    text = """
    <ir_version: 10, opset_import: ["" : 18]>
    rows (float[N, 7] table) => (float[N, 7] scores) { scores = Relu (table) }
    """
    return onnx.parser.parse_model(text).SerializeToString()


def png_header(height: int, width: int) -> bytes:
    """A PNG file that claims these extents and holds next to nothing."""

    def part(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    content = part(b"IHDR", header) + part(b"IDAT", zlib.compress(b"")) + part(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"not a model", "INVALID_ARGUMENT", "ONNX"),
        (model_bytes()[:-40], "INVALID_ARGUMENT", "ONNX"),
        (png(), "INVALID_ARGUMENT", "ONNX"),
        (of_unknown_domain(), "FAILED_PRECONDITION", "com.example"),
        (with_external_data("w.bin")[0], "INVALID_ARGUMENT", "'w.bin', which was not uploaded"),
        (with_external_data("../w.bin")[0], "INVALID_ARGUMENT", "leaves the folder"),
        (with_external_data("/etc/passwd")[0], "INVALID_ARGUMENT", "is absolute"),
    ],
)
def test_unusable_models_are_refused_and_leave_nothing(
    served: Served, data: bytes, code: str, words: str
) -> None:
    before = served.blobs
    with refused() as refusal:
        served.models.UploadModel(iter(upload(data)))
    assert refusal.code.name == code
    assert words in refusal.message
    assert refusal.domain == "heatproof"
    assert served.blobs == before
    assert served.leftovers == []


def encoded(data: bytes | None = None, **facts: Any) -> image_pb2.Image:
    return image_pb2.Image(encoded=png() if data is None else data, **facts)


def mapped(values: Any, frame: int = SOURCE, **facts: Any) -> image_pb2.Image:
    made = image_pb2.AttributionMap(frame=frame, values=tensor(values))
    return encoded(attribution_maps=[made], **facts)


def replaced(**pixels: Any) -> image_pb2.Image:
    return encoded(replacement={"frame": SOURCE, **pixels})


BAD_IMAGES = [
    (image_pb2.Image(), "images[0]", "set encoded or pixels"),
    (encoded(b""), "images[0].encoded", "empty"),
    (encoded(b"GIF87 but not really"), "images[0]", "PNG"),
    (encoded(png()[:60]), "images[0]", ""),
    (image_pb2.Image(pixels=tensor(np.zeros((8, 8)))), "images[0].pixels.shape", "3 extents"),
    (
        image_pb2.Image(pixels=tensor(np.zeros((3, 8, 8)))),
        "images[0].pixels.shape",
        "height, width",
    ),
    (
        image_pb2.Image(pixels=tensor(np.full((8, 8, 3), 255.0))),
        "images[0].pixels.data",
        "send bytes as uint8",
    ),
    (
        image_pb2.Image(pixels=tensor(np.full((8, 8, 3), math.nan))),
        "images[0].pixels.data",
        "finite",
    ),
    (encoded(label=-1), "images[0].label", "at least 0"),
    (mapped(np.full((8, 8), math.nan)), "images[0].attribution_maps[0].values.data", "finite"),
    (mapped(np.full((8, 8), math.inf)), "images[0].attribution_maps[0].values.data", "finite"),
    (mapped(np.zeros(8)), "images[0].attribution_maps[0].values.shape", "2 or 3 extents"),
    (
        encoded(attribution_maps=[image_pb2.AttributionMap(values=tensor(np.zeros((8, 8))))]),
        "image.attribution_maps[0].frame",
        "FRAME_SOURCE",
    ),
    (
        encoded(object_mask={"frame": SOURCE, "mask": tensor(np.ones((8, 8)))}),
        "images[0].object_mask.mask.data_type",
        "uint8",
    ),
    (encoded(object_mask={"frame": SOURCE}), "images[0].object_mask", "set mask or encoded"),
    (replaced(), "images[0].replacement", "set encoded or pixels"),
    (encoded(replacement={"encoded": png()}), "image.replacement.frame", "FRAME_SOURCE"),
    (replaced(encoded=b""), "images[0].replacement.encoded", "empty"),
    (replaced(encoded=b"GIF87 but not really"), "images[0].replacement", "PNG"),
    (replaced(encoded=png()[:60]), "images[0].replacement", ""),
    (
        replaced(pixels=tensor(np.zeros((8, 8)))),
        "images[0].replacement.pixels.shape",
        "3 extents",
    ),
    (
        replaced(pixels=tensor(np.zeros((3, 8, 8)))),
        "images[0].replacement.pixels.shape",
        "height, width",
    ),
    (
        replaced(pixels=tensor(np.full((8, 8, 3), 255.0))),
        "images[0].replacement.pixels.data",
        "send bytes as uint8",
    ),
    (
        replaced(pixels=tensor(np.full((8, 8, 3), math.nan))),
        "images[0].replacement.pixels.data",
        "finite",
    ),
    (
        encoded(boxes=[{"frame": SOURCE, "left": 5, "right": 5, "bottom": 4}]),
        "images[0].boxes[0]",
        "left < right",
    ),
]


@pytest.mark.parametrize(("image", "field", "words"), BAD_IMAGES)
def test_unusable_images_are_refused_and_leave_nothing(
    served: Served, image: image_pb2.Image, field: str, words: str
) -> None:
    before = served.blobs
    with refused() as refusal:
        served.datasets.UploadDataset(dataset(image))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.field.startswith(field)
    assert words in refusal.message
    assert served.blobs == before
    assert served.leftovers == []


def test_an_unusable_image_among_good_ones_is_named_by_its_index(served: Served) -> None:
    with refused() as refusal:
        served.datasets.UploadDataset(dataset(encoded(), encoded(), encoded(b"no image")))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.field.startswith("images[2]")


def test_a_set_without_images_is_refused(served: Served) -> None:
    with refused() as refusal:
        served.datasets.UploadDataset(dataset())
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "no image" in refusal.message


@pytest.mark.parametrize("held", [encoded, lambda data: replaced(encoded=data)])
def test_a_huge_image_is_refused_by_its_header_before_it_is_decoded(
    served: Served, held: Callable[[bytes], image_pb2.Image]
) -> None:
    data = png_header(50_000, 50_000)
    served.datasets.UploadDataset(dataset(encoded()))  # the worker is awake
    start = time.perf_counter()
    with refused() as refusal:
        served.datasets.UploadDataset(dataset(held(data)))
    assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "50000" in refusal.message.replace(",", "")
    assert time.perf_counter() - start < 2  # 2.5 billion pixels take longer to fill alone


def explain(stored: model_pb2.Model, **changes: Any) -> explanation_service_pb2.ExplainRequest:
    sound = {
        "model": stored.name,
        "preprocessing": {"preset": "unit"},
        "explainers": [{"centre": {}}],
        "images": [encoded()],
    }
    return explanation_service_pb2.ExplainRequest(**{**sound, **changes})


@pytest.mark.parametrize(
    "case",
    [
        ({"preprocessing": None}, "INVALID_ARGUMENT", "preprocessing", "imagenet, tf or unit"),
        (
            {"preprocessing": preprocessing_pb2.Preprocessing(height=8)},
            "INVALID_ARGUMENT",
            "preprocessing.resize",
            "name a preset",
        ),
        (
            {"preprocessing": {"preset": "imagnet"}},
            "INVALID_ARGUMENT",
            "preprocessing.preset",
            "did you mean 'imagenet'",
        ),
        (
            {"preprocessing": {"preset": "unit", "height": 9}},
            "INVALID_ARGUMENT",
            "preprocessing.height",
            "8 only",
        ),
        ({"explainers": []}, "INVALID_ARGUMENT", "explainers", "at least one"),
        ({"explainers": [{}]}, "INVALID_ARGUMENT", "explainers[0]", "choose"),
        (
            {"explainers": [{"centre": {}}, {"grad_cam": {"tensor": "rr"}}]},
            "INVALID_ARGUMENT",
            "explainers[1].grad_cam.tensor",
            "unknown tensor 'rr'; did you mean 'r'?",
        ),
        (
            {"explainers": [{"centre": {}}, {"rise": {"masks": 200_000}}]},
            "INVALID_ARGUMENT",
            "explainers[1].rise.masks",
            "[1, 100000]",
        ),
        (
            {"explainers": [{"custom": {"name": "grad_camm"}}]},
            "INVALID_ARGUMENT",
            "explainers[0].custom.name",
            "did you mean 'grad_cam'",
        ),
        ({"images": []}, "INVALID_ARGUMENT", "images", "at least one"),
        ({"images": 17 * [encoded()]}, "INVALID_ARGUMENT", "images", "1 to 16"),
        ({"images": [encoded(label=-2)]}, "INVALID_ARGUMENT", "images[0].label", "at least 0"),
        (
            {"images": [encoded(label=5)], "target": {"label": {}}},
            "INVALID_ARGUMENT",
            "images[0].label",
            "5",
        ),
        (
            {"images": [encoded()], "target": {"label": {}}},
            "INVALID_ARGUMENT",
            "images[0].label",
            "label",
        ),
        ({"target": {"zone": {}}}, "INVALID_ARGUMENT", "target.zone.zone", "required"),
        ({"model": "models/sha256-" + "0" * 64}, "NOT_FOUND", "model", "UploadModel"),
        ({"model": "resnet"}, "INVALID_ARGUMENT", "model", "models/"),
    ],
)
def test_bad_explanations_are_refused(served: Served, model: model_pb2.Model, case: Any) -> None:
    changes, code, field, words = case
    with refused() as refusal:
        list(served.explanations.Explain(explain(model, **changes)))
    assert (refusal.code.name, refusal.field) == (code, field)
    assert words in refusal.message


def predict(stored: model_pb2.Model, **changes: Any) -> masking_service_pb2.PredictRequest:
    sound = {
        "model": stored.name,
        "preprocessing": {"preset": "unit"},
        "image": encoded(),
        "masks": tensor(np.ones((2, 8, 8)), "uint8"),
        "frame": MODEL_INPUT,
        "removal": {"black": {}},
    }
    return masking_service_pb2.PredictRequest(**{**sound, **changes})


def soft_masks(value: float) -> Any:
    masks = np.ones((2, 8, 8), np.float32)
    masks[1, 2, 5] = value
    masks[1, 4, 4] = 0.5
    return masks


@pytest.mark.parametrize(
    "case",
    [
        ({"frame": 0}, "INVALID_ARGUMENT", "frame", "FRAME_SOURCE"),
        ({"removal": None}, "INVALID_ARGUMENT", "removal", "`layer`"),
        ({"image": None}, "INVALID_ARGUMENT", "image", "required"),
        (
            {"masks": tensor(soft_masks(0.37))},
            "INVALID_ARGUMENT",
            "masks.data",
            "mask 1 holds 0.37 at row 2, column 5; a cell is hidden (0) or visible (1): set thresh",
        ),
        (
            {"masks": tensor(soft_masks(np.nan)), "threshold": 0.5},
            "INVALID_ARGUMENT",
            "masks.data",
            "mask 1 holds nan at row 2, column 5",
        ),
        ({"threshold": 1.0}, "INVALID_ARGUMENT", "threshold", "(0, 1), not 1.0"),
        ({"masks": tensor(np.ones((8, 8)), "uint8")}, "INVALID_ARGUMENT", "masks.shape", "3"),
        (
            {"masks": tensor(np.ones((1001, 1, 1)), "uint8")},
            "RESOURCE_EXHAUSTED",
            "masks.shape",
            "at most 1000",
        ),
        (
            {"removal": {"blur": {"sigma": 101}}},
            "INVALID_ARGUMENT",
            "removal.blur.sigma",
            "(0, 100]",
        ),
    ],
)
def test_bad_predictions_are_refused(served: Served, model: model_pb2.Model, case: Any) -> None:
    changes, code, field, words = case
    with refused() as refusal:
        served.masking.Predict(predict(model, **changes))
    assert (refusal.code.name, refusal.field) == (code, field)
    assert words in refusal.message


def test_a_model_without_an_image_input_explains_nothing(served: Served) -> None:
    stored = served.models.UploadModel(iter(upload(without_image_input())))
    with refused() as refusal:
        list(served.explanations.Explain(explain(stored)))
    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.reason == "UNSUPPORTED_MODEL"
    assert "no image input" in refusal.message
    assert "expected one float or uint8 input" in refusal.message
