"""Downloads, maps and predictions, compared with ONNX Runtime and NumPy alone."""

import hashlib
import io
from typing import Any

import grpc
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from PIL import Image as PillowImage

from heatproof.server.api.reply_size import MAX_REPLY_BYTES
from heatproof.v1 import explanation_service_pb2, masking_service_pb2, model_pb2, tensor_pb2
from heatproof.v1 import model_service_pb2 as pb
from tests.system.payloads import model_bytes, png, tensor, upload, with_external_data
from tests.system.refusals import refused
from tests.system.serving import Served


def downloaded(served: Served, name: str, **rewrite: Any) -> dict[str, bytes]:
    """The files of a download by location, checked against its header."""
    parts = list(served.models.DownloadModel(pb.DownloadModelRequest(name=name, **rewrite)))
    announced, chunks = parts[0].header.files, [part.chunk for part in parts[1:]]
    files = {
        info.location: b"".join(chunk.data for chunk in chunks if chunk.file == index)
        for index, info in enumerate(announced)
    }
    for info in announced:
        assert len(files[info.location]) == info.size_bytes
        assert hashlib.sha256(files[info.location]).hexdigest() == info.sha256
    return files


def values(message: tensor_pb2.Tensor) -> NDArray[np.float32]:
    assert message.data_type == tensor_pb2.DATA_TYPE_FLOAT32
    return np.frombuffer(message.data, "<f4").reshape(tuple(message.shape))


def test_a_download_gives_the_files_back(served: Served) -> None:
    data, weights = with_external_data("w.bin", 40)
    stored = served.models.UploadModel(iter(upload(data, {"w.bin": weights})))
    assert downloaded(served, stored.name) == {"model.onnx": data, "w.bin": weights}


def test_a_layer_masked_download_with_nothing_hidden_answers_as_the_model(
    served: Served, model: model_pb2.Model
) -> None:
    (data,) = downloaded(served, model.name, layer_masking={"mode": 2}).values()
    onnx.checker.check_model(onnx.load_model_from_string(data))
    images = np.random.default_rng(0).random((2, 3, 8, 8), np.float32)
    plain = ort.InferenceSession(model_bytes()).run(None, {"image": images})[0]
    mask = np.ones((2, 1, 8, 8), np.float32)
    scores, coverage = ort.InferenceSession(data).run(
        ["scores", "mask_coverage"], {"image": images, "mask": mask}
    )
    np.testing.assert_allclose(scores, plain, rtol=1e-5, atol=1e-6)  # float32 sums reordered
    np.testing.assert_array_equal(coverage, [1, 1])


def test_a_differentiated_download_has_its_input_and_output(
    served: Served, model: model_pb2.Model
) -> None:
    (data,) = downloaded(served, model.name, gradient={}).values()
    session = ort.InferenceSession(data)
    assert {given.name for given in session.get_inputs()} == {"image", "output_gradient"}
    assert {made.name for made in session.get_outputs()} == {"scores", "input_gradient"}


def test_a_layer_masked_download_may_threshold_its_masks(
    served: Served, model: model_pb2.Model
) -> None:
    images, soft = np.ones((1, 3, 8, 8), np.float32), np.full((1, 1, 8, 8), 0.4, np.float32)
    (loud,) = downloaded(served, model.name, layer_masking={}).values()
    (lenient,) = downloaded(served, model.name, layer_masking={"threshold": 0.3}).values()
    feeds = {"image": images, "mask": soft}
    assert np.isnan(ort.InferenceSession(loud).run(["mask_coverage"], feeds)[0]).all()
    assert ort.InferenceSession(lenient).run(["mask_coverage"], feeds)[0] == [1]


@pytest.mark.parametrize("file_name", ["../m.onnx", "a/b.onnx", "..", "x" * 201, "a\\b"])
def test_the_name_of_a_rewritten_file_has_no_folders(
    served: Served, model: model_pb2.Model, file_name: str
) -> None:
    with refused() as refusal:
        downloaded(served, model.name, gradient={}, file_name=file_name)
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.field == "file_name"


@pytest.mark.parametrize(("field", "value"), [("global_pool", 2), ("fill", 2), ("fill", 3)])
def test_options_that_exclude_each_other_are_refused(
    served: Served, model: model_pb2.Model, field: str, value: int
) -> None:
    with refused() as refusal:
        downloaded(served, model.name, layer_masking={"mode": 2, field: value})
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.field == f"layer_masking.{field}"


def test_a_rewrite_without_a_rule_names_the_operator(served: Served) -> None:
    det = onnx.parser.parse_model("""
        <ir_version: 10, opset_import: ["" : 18]>
        net (float[N, 3, 8, 8] image) => (float[N, 3] scores) { scores = Det (image) }
        """)
    stored = served.models.UploadModel(iter(upload(det.SerializeToString())))
    assert not stored.facts.layer_masking.supported
    with refused() as refusal:
        downloaded(served, stored.name, layer_masking={})
    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.reason == "UNSUPPORTED_OPERATOR"
    assert "Det" in refusal.message


def test_predictions_of_a_clean_image_are_those_of_onnx_runtime(
    served: Served, model: model_pb2.Model
) -> None:
    request = masking_service_pb2.PredictRequest(
        model=model.name,
        preprocessing={"resize": 3, "scale": 255.0, "mean": [127.5], "std": [63.75]},
        image={"encoded": png(seed=3)},
    )
    reply = served.masking.Predict(request)
    pixels = np.asarray(PillowImage.open(io.BytesIO(png(seed=3))), np.float32)
    fed = ((pixels - 127.5) / 63.75).transpose(2, 0, 1)[np.newaxis]
    plain = ort.InferenceSession(model_bytes()).run(None, {"image": fed})[0]
    np.testing.assert_allclose(values(reply.logits), plain, rtol=1e-4, atol=1e-5)  # float32
    assert not reply.HasField("coverage")


def test_masks_hide_what_they_say(served: Served, model: model_pb2.Model) -> None:
    masks = np.ones((3, 8, 8), np.uint8)
    masks[1, :, :4] = 0
    masks[2] = 0
    reply = served.masking.Predict(
        masking_service_pb2.PredictRequest(
            model=model.name,
            preprocessing={"preset": "unit"},
            image={"encoded": png(seed=4)},
            masks=tensor(masks, "uint8"),
            frame=2,
            removal={"black": {}},
        )
    )
    pixels = np.asarray(PillowImage.open(io.BytesIO(png(seed=4))), np.float32) / 255
    fed = pixels.transpose(2, 0, 1)[np.newaxis] * masks[:, np.newaxis]
    plain = ort.InferenceSession(model_bytes()).run(None, {"image": fed})[0]
    np.testing.assert_allclose(values(reply.logits), plain, rtol=1e-4, atol=1e-5)  # float32


def test_masks_of_floats_hide_what_is_not_above_the_threshold(
    served: Served, model: model_pb2.Model
) -> None:
    soft = np.random.default_rng(7).random((2, 8, 8), np.float32)

    def predicted(masks: Any, dtype: str, **fields: Any) -> bytes:
        request = masking_service_pb2.PredictRequest(
            model=model.name,
            preprocessing={"preset": "unit"},
            image={"encoded": png(seed=4)},
            masks=tensor(masks, dtype),
            frame=2,
            removal={"layer": {}},
            **fields,
        )
        return bytes(served.masking.Predict(request).logits.data)

    hard = soft > 0.75
    assert predicted(soft, "float32", threshold=0.75) == predicted(hard, "uint8")
    assert predicted(hard, "float32") == predicted(hard, "uint8")
    assert predicted(hard, "uint8") != predicted(soft > 0.5, "uint8")


def test_hidden_layers_report_their_coverage(served: Served, model: model_pb2.Model) -> None:
    masks = np.stack([np.ones((8, 8)), np.zeros((8, 8))])
    reply = served.masking.Predict(
        masking_service_pb2.PredictRequest(
            model=model.name,
            preprocessing={"preset": "unit"},
            image={"encoded": png()},
            masks=tensor(masks, "uint8"),
            frame=2,
            removal={"layer": {}},
        )
    )
    np.testing.assert_array_equal(values(reply.coverage), [1, 0])


def explain(served: Served, name: str, **changes: Any) -> list[Any]:
    sound = {
        "model": name,
        "preprocessing": {"preset": "unit"},
        "explainers": [{"centre": {"sigma": 0.5}}, {"saliency": {}}],
        "images": [{"encoded": png(seed=5)}, {"encoded": png(seed=6), "label": 2}],
    }
    request = explanation_service_pb2.ExplainRequest(**{**sound, **changes})
    return list(served.explanations.Explain(request))


def test_maps_come_image_by_image_and_explainer_by_explainer(
    served: Served, model: model_pb2.Model
) -> None:
    maps = explain(served, model.name, overlay=True)
    arms = [(part.image, part.explainer.WhichOneof("explainer")) for part in maps]
    assert arms == [(0, "centre"), (0, "saliency"), (1, "centre"), (1, "saliency")]
    assert maps[0].explainer.centre.sigma == 0.5
    assert all(values(part.values).shape == (8, 8) for part in maps)
    assert all(part.overlay_png.startswith(b"\x89PNG") for part in maps)
    assert [len(part.prediction.top) for part in maps] == [5, 5, 5, 5]


def test_the_label_is_explained_if_asked_for(served: Served, model: model_pb2.Model) -> None:
    (part,) = explain(
        served,
        model.name,
        images=[{"encoded": png(seed=6), "label": 2}],
        explainers=[{"centre": {}}],
        target={"label": {}},
    )
    assert part.prediction.target == 2


def test_a_contrast_is_explained_by_the_difference_of_two_saliencies(
    served: Served, model: model_pb2.Model
) -> None:
    asked = {"images": [{"encoded": png(seed=6)}], "explainers": [{"integrated_gradients": {}}]}

    def attribution(**target: Any) -> NDArray[np.float32]:
        (part,) = explain(served, model.name, target=target, **asked)
        return values(part.values)

    one, two = (attribution(fixed_class={"index": index}) for index in (1, 3))
    contrast = attribution(contrast={"of": {"index": 1}, "against": {"index": 3}})
    group = attribution(group={"classes": [{"index": 1}, {"index": 3}]})
    assert np.abs(one - two).max() > 1e-4
    np.testing.assert_allclose(contrast, one - two, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(group, (one + two) / 2, rtol=1e-3, atol=1e-6)


def test_a_class_may_go_by_its_name(served: Served, model: model_pb2.Model) -> None:
    (part,) = explain(
        served,
        model.name,
        images=[{"encoded": png(seed=6)}],
        explainers=[{"centre": {}}],
        target={"fixed_class": {"name": "cat"}},
        class_names=["dog", "cow", "cat"],
    )
    assert part.prediction.target == 2


@pytest.mark.parametrize(
    ("target", "field", "words"),
    [
        ({"fixed_class": {"index": 99}}, "target.fixed_class.index", "classes 0 to"),
        ({"fixed_class": {"index": -1}}, "target.fixed_class.index", "counted from 0"),
        ({"fixed_class": {"name": "cat"}}, "target.fixed_class.name", "class_names"),
        (
            {"contrast": {"of": {"index": 1}, "against": {"index": 1}}},
            "target.contrast.against",
            "itself",
        ),
        (
            {"group": {"classes": [{"index": 1}, {"index": 99}]}},
            "target.group.classes[1].index",
            "classes 0 to",
        ),
        ({"box": {"box": {"frame": 1, "right": 1}}}, "target.box", "choose predicted"),
    ],
)
def test_a_target_that_the_model_does_not_have_is_refused(
    served: Served, model: model_pb2.Model, target: Any, field: str, words: str
) -> None:
    with refused() as refusal:
        explain(
            served,
            model.name,
            images=[{"encoded": png()}],
            explainers=[{"centre": {}}],
            target=target,
        )
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.field == field
    assert words in refusal.message


def test_a_map_that_no_reply_can_hold_is_refused_with_a_way_out(served: Served) -> None:
    text = """
    <ir_version: 10, opset_import: ["" : 18]>
    net (float[N, 3, H, W] image) => (float[N, 3] scores) <float nine = {9}>
    { p = GlobalAveragePool (image) f = Flatten (p) scores = Mul (f, nine) }
    """
    network = onnx.parser.parse_model(text)
    stored = served.models.UploadModel(iter(upload(network.SerializeToString())))
    side = 1024  # 4 MiB of float32
    assert 4 * side * side > MAX_REPLY_BYTES
    with refused() as refusal:
        explain(
            served,
            stored.name,
            preprocessing={"preset": "unit", "height": side, "width": side},
            explainers=[{"centre": {}}],
            images=[{"encoded": png()}],
        )
    assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "preprocessing.height" in refusal.message
