"""Gates of channels against the product of a tensor with the same factors in NumPy."""

from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from heatproof.evaluators.errors import UnknownNameError, UnsupportedModelError
from heatproof.graphs.gating import GATE_INPUT, gated
from heatproof.graphs.gradients import differentiated
from heatproof.graphs.masking import layer_masked
from heatproof.graphs.preparation import prepared
from heatproof.graphs.tapping import tapped
from tests.graphs.sessions import opened

Parse = Callable[[str], onnx.ModelProto]

# The last steps are linear, so that a scaled tensor is followed to the scores by hand.
NETWORK = """<ir_version: 10, opset_import: ["" : 18]>
g (TYPE[N, 3, 8, 8] image) => (TYPE[N, 5] scores, TYPE[N, 4, 8, 8] features)
<TYPE[4, 3, 3, 3] w, TYPE[4, 5] v>
{ c = Conv <pads = [1, 1, 1, 1]> (image, w) features = Relu (c)
  p = GlobalAveragePool (features) f = Flatten (p) scores = MatMul (f, v) }"""


@pytest.fixture
def model(text_model: Parse) -> ir.Model:
    return prepared(ir.from_proto(text_model(NETWORK.replace("TYPE", "float"))))


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(2).random((3, 3, 8, 8), np.float32)


def gates() -> np.ndarray:
    return np.array([[0, 1, 1, 1], [1, 0.5, -2, 0], [1, 1, 1, 1]], np.float32)


def weights(model: ir.Model) -> np.ndarray:
    tensor = model.graph.initializers["v"].const_value
    assert tensor is not None
    return tensor.numpy()


def test_gates_scale_each_images_channels(model: ir.Model, image: np.ndarray) -> None:
    features = opened(model)(image=image)["features"] * gates()[:, :, None, None]
    found = opened(gated(model, "features"))(image=image, gate=gates())
    np.testing.assert_array_equal(found["features"], features)  # readers at the ends, too
    scores = features.mean((2, 3), dtype=np.float64) @ weights(model).astype(np.float64)
    np.testing.assert_allclose(found["scores"], scores, rtol=1e-5, atol=1e-6)


def test_gates_of_one_keep_every_bit(model: ir.Model, image: np.ndarray) -> None:
    found = opened(gated(model, "c"))(image=image, gate=np.ones((3, 4), np.float32))
    np.testing.assert_array_equal(found["scores"], opened(model)(image=image)["scores"])


def test_inputs_and_outputs_keep_their_names(model: ir.Model) -> None:
    names = [value.name for value in model.graph.outputs]
    result = gated(model, "features")
    assert [value.name for value in result.graph.outputs] == names
    assert [value.name for value in result.graph.inputs] == ["image", GATE_INPUT]
    assert [value.name for value in model.graph.inputs] == ["image"]  # the argument is left alone


def test_channels_may_lie_last(text_model: Parse) -> None:
    text = """<ir_version: 10, opset_import: ["" : 18]>
    g (float[N, 2, 2, 3] image) => (float[N, 2, 2, 3] y) { x = Neg (image) y = Neg (x) }"""
    model = ir.from_proto(onnx.shape_inference.infer_shapes(text_model(text)))
    image = np.random.default_rng(3).random((2, 2, 2, 3), np.float32)
    gate = np.array([[0, 1, 2], [3, 4, 5]], np.float32)
    found = opened(gated(model, "x", axis=3))(image=image, gate=gate)
    np.testing.assert_array_equal(found["y"], image * gate[:, None, None])


def test_tensors_of_half_precision_take_the_same_gates(text_model: Parse) -> None:
    model = prepared(ir.from_proto(text_model(NETWORK.replace("TYPE", "float16"))))
    image = np.random.default_rng(2).random((3, 3, 8, 8)).astype(np.float16)
    found = opened(gated(model, "features"))(image=image, gate=gates())
    expected = opened(model)(image=image)["features"] * gates().astype(np.float16)[:, :, None, None]
    np.testing.assert_array_equal(found["features"], expected)


def test_gated_models_are_masked_tapped_and_differentiated(
    model: ir.Model, image: np.ndarray
) -> None:
    gate, mask = gates(), np.ones((3, 1, 8, 8), np.float32)
    scaled = gated(model, "c")
    plain = opened(scaled)(image=image, gate=gate)
    masked = opened(layer_masked(scaled))(image=image, gate=gate, mask=mask)
    np.testing.assert_allclose(masked["scores"], plain["scores"], rtol=1e-5, atol=1e-6)
    tap = opened(tapped(scaled, ["c"]))(image=image, gate=gate)["c"]
    np.testing.assert_array_equal(np.maximum(tap, 0), plain["features"])
    seed = np.eye(3, 5, dtype=np.float32)
    linear = differentiated(gated(model, "f"), of="scores", wrt="features")
    found = opened(linear)(image=image, gate=gate, output_gradient=seed)["input_gradient"]
    slope = (seed @ weights(model).T * gate / 64)[:, :, None, None]
    np.testing.assert_allclose(found, np.broadcast_to(slope, found.shape), rtol=1e-5)


def test_what_cannot_be_gated_is_refused_by_name(model: ir.Model, text_model: Parse) -> None:
    with pytest.raises(UnknownNameError, match="unknown tensor 'feature'; did you mean 'features'"):
        gated(model, "feature")
    with pytest.raises(UnsupportedModelError, match="'gate' already: it is gated already"):
        gated(gated(model, "c"), "features")
    with pytest.raises(UnsupportedModelError, match="channels on axis 4"):
        gated(model, "c", axis=4)
    text = """<ir_version: 10, opset_import: ["" : 18]>
    g (float[N, C] x) => (float[N, C] y) { z = Neg (x) y = Neg (z) }"""
    with pytest.raises(UnsupportedModelError, match="fixed number of channels on axis 1"):
        gated(ir.from_proto(onnx.shape_inference.infer_shapes(text_model(text))), "z")
