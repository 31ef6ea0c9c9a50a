"""QDQ graphs: masks and fills work on real numbers, between dequantisation and convolution."""

from typing import Any

import numpy as np
import pytest

from heatproof.evaluators.errors import UnsupportedOperatorError
from heatproof.graphs.masking import MaskingOptions, Mode, layer_masked, masking_blockers
from tests.graphs.masking.laws import Laws
from tests.graphs.masking.single import CHANNELS, Array, graph, image_and_mask, masked_run, seen

SCALE, ZERO = np.float32(0.05), np.uint8(120)
QDQ = "q = QuantizeLinear (x, scale, zero) d = DequantizeLinear (q, scale, zero) "
PARAMETERS: dict[str, Array] = {"scale": np.array(SCALE), "zero": np.array(ZERO)}


def quantized(x: Array) -> Array:
    codes = np.clip(np.rint(x / SCALE) + ZERO, 0, 255)
    return np.asarray((codes - ZERO) * SCALE)


@pytest.mark.parametrize("opset", [10, 13, 19, 21])
def test_quantization_is_of_one_cell(opset: int) -> None:
    feeds = image_and_mask()
    got = masked_run(graph(QDQ + "y = Relu (d)", PARAMETERS, opset=opset), feeds)["y"]
    expected = np.maximum(quantized(seen(feeds)), 0) * feeds["mask"]
    # A number near the middle of two quanta may be rounded either way.
    np.testing.assert_allclose(got, expected, atol=1.01 * float(SCALE))
    assert (abs(got - expected) < 1e-5).mean() > 0.99


def test_scales_may_belong_to_channels() -> None:
    scale = np.linspace(0.02, 0.1, CHANNELS).astype(np.float32)
    nodes = (
        "q = QuantizeLinear <axis = 1> (x, scale, zero) "
        "y = DequantizeLinear <axis = 1> (q, scale, zero)"
    )
    weights: dict[str, Array] = {"scale": scale, "zero": np.zeros(CHANNELS, np.int8)}
    feeds = image_and_mask()
    steps = scale[:, None, None]
    expected = np.clip(np.rint(seen(feeds) / steps), -128, 127) * steps * feeds["mask"]
    got = masked_run(graph(nodes, weights, opset=13), feeds)["y"]
    assert (abs(got - expected) < 1e-5).mean() > 0.99


def network(opset: int) -> Any:
    rng = np.random.default_rng(0)
    nodes = (
        f"{QDQ} wide = DequantizeLinear (codes, small) c = Conv <pads = [1, 1, 1, 1]> (d, wide) "
        "r = Relu (c) e = QuantizeLinear (r, scale, none) f = DequantizeLinear (e, scale, none) "
        "p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (f) y = GlobalAveragePool (p)"
    )
    weights = PARAMETERS | {
        "codes": rng.integers(-127, 128, (4, CHANNELS, 3, 3)).astype(np.int8),
        "small": np.array(0.002, np.float32),
        "none": np.array(0, np.uint8),
    }
    return graph(nodes, weights, opset=opset)


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("opset", [13, 21])
def test_a_quantized_network_obeys_the_laws(opset: int, mode: Mode) -> None:
    # Law 1 holds within one quantum, as sums in another order may be rounded another way.
    Laws(network(opset), MaskingOptions(mode=mode), tolerance=0.02).check()


def test_convolutions_are_filled_with_real_numbers() -> None:
    rewritten = layer_masked(network(13)).graph
    convolution = next(
        node for node in rewritten if node.op_type == "Conv" and node.outputs[0].name == "c"
    )
    value = convolution.inputs[0]
    assert value is not None
    producer = value.producer()
    assert producer is not None
    assert producer.op_type != "DequantizeLinear"


@pytest.mark.parametrize(
    ("nodes", "weights", "reason"),
    [
        (
            (
                "q = QuantizeLinear (x, scale, zero) p = Flatten (q) "
                "y = DequantizeLinear (p, scale, zero)"
            ),
            PARAMETERS,
            "zero point is not 0 and Flatten",
        ),
        ("q, s, z = DynamicQuantizeLinear (x) y = DequantizeLinear (q, s, z)", {}, "statically"),
    ],
)
def test_what_cannot_be_filled_is_refused(
    nodes: str, weights: dict[str, Array], reason: str
) -> None:
    assert reason in masking_blockers(graph(nodes, weights))[0].reason


def test_integers_with_zero_for_zero_may_be_moved() -> None:
    weights: dict[str, Array] = {"scale": np.array(SCALE), "none": np.array(0, np.int8)}
    nodes = (
        "q = QuantizeLinear (x, scale, none) p = Flatten (q) y = DequantizeLinear (p, scale, none)"
    )
    feeds = image_and_mask()
    got = masked_run(graph(nodes, weights), feeds)["y"]
    expected = np.clip(np.rint(seen(feeds) / SCALE), -128, 127) * SCALE * feeds["mask"]
    assert (abs(got - expected.reshape(got.shape)) < 1e-5).mean() > 0.99


def test_a_scale_from_the_image_is_refused() -> None:
    nodes = (
        "m = ReduceMax <keepdims = 0> (image) q = QuantizeLinear (x, m, zero) "
        "y = DequantizeLinear (q, m, zero)"
    )
    with pytest.raises(UnsupportedOperatorError):
        layer_masked(graph(nodes, {"zero": np.array(ZERO)}))
