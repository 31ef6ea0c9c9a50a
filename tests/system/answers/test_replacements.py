"""Images that are shown in place of others, from the request to the model, over a real socket."""

import io
from typing import Any

import grpc
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from PIL import Image as PillowImage

from heatproof.v1 import (
    evaluation_service_pb2,
    explanation_service_pb2,
    image_pb2,
    masking_service_pb2,
    model_pb2,
    tensor_pb2,
)
from heatproof.v1.evaluation_service_pb2_grpc import EvaluationServiceStub
from tests.system.payloads import dataset, model_bytes, png, tensor, upload
from tests.system.refusals import refused
from tests.system.serving import Served

SOURCE, MODEL_INPUT = image_pb2.FRAME_SOURCE, image_pb2.FRAME_MODEL_INPUT
UNIT = {"resize": "RESIZE_NONE"}
MASK = np.indices((8, 8)).sum(axis=0) % 3 > 0

LAYOUTS = {
    "NCHW": ("float[N, 3, 8, 8] image", "t = Identity (image)", 48),
    "NHWC": ("float[N, 8, 8, 3] image", "t = Transpose <perm = [0, 3, 1, 2]> (image)", 48),
    "one channel": ("float[N, 1, 8, 8] image", "t = Identity (image)", 16),
}
"""Networks by what they read: input, how it becomes NCHW, and features after a pool."""


def network(layout: str) -> bytes:
    given, first, features = LAYOUTS[layout]
    made = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["" : 18]>
        net ({given}) => (float[N, 4] scores)
        {{ {first}
           p = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (t)
           f = Flatten (p) scores = MatMul (f, w) }}
        """)
    weights = np.random.default_rng(5).normal(size=(features, 4)).astype(np.float32)
    made.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    return made.SerializeToString()


def fed(layout: str, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the network reads of pixels [height, width, 3]."""
    if layout == "one channel":
        pixels = pixels @ np.array([[0.299], [0.587], [0.114]], np.float32)
    return pixels[np.newaxis] if layout == "NHWC" else pixels.transpose(2, 0, 1)[np.newaxis]


def opened(data: bytes) -> NDArray[np.float32]:
    return np.asarray(PillowImage.open(io.BytesIO(data)), np.float32) / 255


def values(message: tensor_pb2.Tensor) -> NDArray[np.float32]:
    return np.frombuffer(message.data, "<f4").reshape(tuple(message.shape))


def replaced(seed: int = 0, **replacement: Any) -> image_pb2.Image:
    return image_pb2.Image(encoded=png(seed=seed), replacement=replacement or None)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "given",
    [
        {"encoded": png(seed=1)},
        {"pixels": tensor(opened(png(seed=1)))},
        {"pixels": tensor(opened(png(seed=1)) * 255, "uint8")},
    ],
    ids=["a file", "floats", "bytes"],
)
def test_a_prediction_is_that_of_onnx_runtime_on_the_two_images_joined(
    served: Served, layout: str, given: dict[str, Any]
) -> None:
    stored = served.models.UploadModel(iter(upload(network(layout))))
    reply = served.masking.Predict(
        masking_service_pb2.PredictRequest(
            model=stored.name,
            preprocessing=UNIT,
            image=replaced(frame=SOURCE, **given),
            masks=tensor(MASK[np.newaxis], "uint8"),
            frame=MODEL_INPUT,
            removal={"replacement": {}},
        )
    )
    joined = np.where(MASK[:, :, np.newaxis], opened(png(seed=0)), opened(png(seed=1)))
    plain = ort.InferenceSession(network(layout)).run(None, {"image": fed(layout, joined)})[0]
    np.testing.assert_allclose(values(reply.logits), plain, rtol=1e-4, atol=1e-5)  # float32


def test_a_prediction_without_a_replacement_is_refused(
    served: Served, model: model_pb2.Model
) -> None:
    with refused() as refusal:
        served.masking.Predict(
            masking_service_pb2.PredictRequest(
                model=model.name,
                preprocessing=UNIT,
                image=replaced(),
                masks=tensor(MASK[np.newaxis], "uint8"),
                frame=MODEL_INPUT,
                removal={"replacement": {}},
            )
        )
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.field == "image.replacement"


def test_an_explainer_shows_replacements_and_says_where_there_is_none(
    served: Served, model: model_pb2.Model
) -> None:
    occlusion = {"occlusion": {"patch": 4, "stride": 4, "removal": {"replacement": {}}}}
    request = explanation_service_pb2.ExplainRequest(
        model=model.name,
        preprocessing=UNIT,
        explainers=[occlusion],
        images=[replaced(frame=SOURCE, encoded=png(seed=1)), replaced()],
    )
    shown, bare = served.explanations.Explain(request)
    assert bare.undefined.reason == "NO_REPLACEMENT"

    def confidence(pixels: NDArray[np.float32]) -> float:
        session = ort.InferenceSession(model_bytes())
        (logits,) = session.run(None, {"image": fed("NCHW", pixels)})[0].astype(np.float64)
        return float(np.exp(logits - logits.max())[best] / np.exp(logits - logits.max()).sum())

    image, other = opened(png(seed=0)), opened(png(seed=1))
    best = shown.prediction.target
    for top, left in np.ndindex(2, 2):
        patch = np.s_[4 * top : 4 * top + 4, 4 * left : 4 * left + 4]
        hidden = image.copy()
        hidden[patch] = other[patch]
        drop = confidence(image) - confidence(hidden)
        np.testing.assert_allclose(values(shown.values)[patch], drop, atol=1e-6)


def spec(model: model_pb2.Model, **changes: Any) -> dict[str, Any]:
    usual = {
        "models": [model.name],
        "preprocessing": UNIT,
        "metrics": [{"deletion": {"grid": 4, "steps": 4}}],
        "explainers": [{"centre": {}}],
        "removals": [{"replacement": {}}],
    }
    return {**usual, **changes}


def test_a_stored_set_is_scored_as_the_images_of_a_request(
    served: Served, model: model_pb2.Model
) -> None:
    stub = EvaluationServiceStub(served.channel)
    images = [replaced(seed, frame=SOURCE, encoded=png(seed=seed + 50)) for seed in range(3)]
    inline = stub.Evaluate(
        evaluation_service_pb2.EvaluateRequest(spec=spec(model), images=images), timeout=60
    )
    held = served.datasets.UploadDataset(dataset(*images))
    asked = evaluation_service_pb2.CreateEvaluationRequest(spec=spec(model, dataset=held.name))
    created = stub.CreateEvaluation(asked, timeout=60)
    name = created.evaluation.name
    assert list(created.reads) == ["replacement"]
    list(stub.WatchEvaluation(evaluation_service_pb2.WatchEvaluationRequest(name=name), timeout=60))
    listed = stub.ListImageResults(
        evaluation_service_pb2.ListImageResultsRequest(name=name), timeout=60
    )
    scores = [image.scores[0].score.value for image in listed]
    assert scores == [image.scores[0].score.value for image in inline.image_results]
    others = [replaced(seed, frame=SOURCE, encoded=png(seed=seed + 70)) for seed in range(3)]
    again = stub.Evaluate(
        evaluation_service_pb2.EvaluateRequest(spec=spec(model), images=others), timeout=60
    )
    assert all(
        one != other.scores[0].score.value
        for one, other in zip(scores, again.image_results, strict=True)
    )


def test_a_set_that_lacks_one_is_refused_before_the_first_pass(
    served: Served, model: model_pb2.Model
) -> None:
    stub = EvaluationServiceStub(served.channel)
    images = [replaced(frame=SOURCE, encoded=png(seed=1)), replaced(1)]
    held = served.datasets.UploadDataset(dataset(*images))
    with refused() as refusal:
        asked = spec(model, dataset=held.name)
        stub.CreateEvaluation(
            evaluation_service_pb2.CreateEvaluationRequest(spec=asked, validate_only=True),
            timeout=60,
        )
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.field == "spec.removals[0].replacement"
    assert "1 of 2 images came without one" in refusal.message
