"""Grad-CAM asks for no gradient of what lies before its tensor."""

import grpc
import numpy as np
import onnx.parser
import pytest

from heatproof.v1 import explanation_service_pb2, image_pb2
from tests.system.payloads import png, upload
from tests.system.serving import Served

WEIGHTS = ", ".join(f"{value:.4f}" for value in np.random.default_rng(3).normal(size=108))
HEAD = ", ".join(f"{value:.4f}" for value in np.random.default_rng(4).normal(size=20))
NETWORK = f"""
<float[4, 3, 3, 3] w = {{{WEIGHTS}}}, float[5, 4] v = {{{HEAD}}}, float full = {{255.0}}>
{{
    %s
    c = Conv <pads = [1, 1, 1, 1]> (x, w)
    r = Relu (c)
    p = GlobalAveragePool (r)
    f = Flatten (p)
    scores = Gemm <transB = 1> (f, v)
}}"""
WHOLE_NUMBERS = (
    "k = Cast <to = 1> (image) s = Div (k, full) x = Transpose <perm = [0, 3, 1, 2]> (s)"
)
LAYOUTS = {
    "whole": ("uint8[N, 8, 8, 3] image", WHOLE_NUMBERS, 255.0),
    "float": ("float[N, 3, 8, 8] image", "x = Identity (image)", 1.0),
}


def explained(served: Served, kind: str, explainer: str) -> np.ndarray:
    """The map of one picture by a network whose input is of this kind."""
    image, entry, scale = LAYOUTS[kind]
    model = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 18]> net ({image}) => (float[N, 5] scores)'
        + NETWORK % entry
    )
    request = explanation_service_pb2.ExplainRequest(
        model=served.models.UploadModel(iter(upload(model.SerializeToString()))).name,
        preprocessing={"resize": "RESIZE_NONE", "scale": scale},
        explainers=[{explainer: {}}],
        images=[image_pb2.Image(encoded=png())],
    )
    (reply,) = served.explanations.Explain(request, timeout=60)
    return np.frombuffer(reply.values.data, "<f4").reshape(reply.values.shape)


def test_grad_cam_is_the_same_behind_whole_numbers(served: Served) -> None:
    found = explained(served, "whole", "grad_cam")

    assert np.ptp(found) > 0
    np.testing.assert_allclose(found, explained(served, "float", "grad_cam"), atol=1e-5)


@pytest.mark.parametrize("explainer", ["saliency", "integrated_gradients"])
def test_gradients_by_the_image_are_refused_behind_whole_numbers(
    served: Served, explainer: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        explained(served, "whole", explainer)

    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "needs gradients" in caught.value.details()


def test_usability_tells_the_two_apart(served: Served) -> None:
    image, entry, _ = LAYOUTS["whole"]
    model = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 18]> net ({image}) => (float[N, 5] scores)'
        + NETWORK % entry
    )
    stored = served.models.UploadModel(iter(upload(model.SerializeToString())))

    assert stored.facts.activation_gradients.supported
    assert not stored.facts.gradients.supported
    assert "grad_cam" in {one.name for one in stored.usability.explainers if one.usable}
    assert "saliency" in {one.name for one in stored.usability.explainers if not one.usable}
