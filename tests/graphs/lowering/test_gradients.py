"""Gradients lowered for a processor: forms that ONNX Runtime is fast at, and the same numbers."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from heatproof.graphs.gradients import differentiated
from heatproof.graphs.lowering import Platform, lowered
from heatproof.graphs.preparation import prepared
from tests.graphs.sessions import opened

Array = NDArray[Any]
Parser = Callable[[str], onnx.ModelProto]

TOLERANCE = 2e-6
"""Of float32, relative to the largest: sums of some dozens of terms in another order."""

STRIDED = """<ir_version: 8, opset_import: ["" : 17]>
g (float[N, 3, {height}, {width}] image) => (float[N, 5] scores)
<float[16, 3, 1, 1] e, float[16, 1, {kernel}, {kernel}] d, float[5, 16] v, float[5] b,
float low = {{0}}, float high = {{1.5}}>
{{
    wide = Conv (image, e)
    y = {activation}
    z = Conv <group = 16, strides = [2, 2], pads = {pads}> (y, d)
    r = Relu (z)
    p = GlobalAveragePool (r)
    f = Flatten (p)
    scores = Gemm <transB = 1> (f, v, b)
}}"""
CLIP = "Clip (wide, low, high)"

GATED = """<ir_version: 8, opset_import: ["" : 17]>
g (float[N, 3, 6, 10] image) => (float[N, 5] scores)
<float[16, 3, 1, 1] e, float[16, 16, 1, 1] s, float[16, 16, 1, 1] d, float[5, 16] v, float[5] b>
{
    wide = Conv (image, e)
    squeezed = GlobalAveragePool (wide)
    logits = Conv (squeezed, s)
    gate = Sigmoid (logits)
    scaled = Mul (wide, gate)
    deep = Conv (scaled, d)
    r = Relu (deep)
    p = GlobalAveragePool (r)
    f = Flatten (p)
    scores = Gemm <transB = 1> (f, v, b)
}"""


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def gradients(text: str, text_model: Parser, rng: np.random.Generator, size: int) -> list[Array]:
    """The gradient as the rules write it, and as it is lowered, whose operators are returned."""
    exact = differentiated(ir.from_proto(text_model(text)))
    fast = lowered(exact, Platform.CPU)
    feeds = {
        "image": rng.standard_normal((2, 3, size, size + 4)).astype(np.float32),
        "output_gradient": rng.standard_normal((2, 5)).astype(np.float32),
    }
    return [opened(model)(**feeds)["input_gradient"] for model in (exact, fast)]


def kernels(model: ir.Model) -> list[tuple[int, ...]]:
    """Shapes of the weights of transposed convolutions."""
    weights = [node.inputs[1] for node in model.graph if node.op_type == "ConvTranspose"]
    return [
        tuple(value.const_value.shape.numpy())
        for value in weights
        if value is not None and value.const_value is not None
    ]


@pytest.mark.parametrize("activation", [CLIP, "HardSwish (wide)", "Softplus (wide)"])
@pytest.mark.parametrize(
    ("kernel", "pads"),
    [
        (2, [0, 0, 0, 0]),
        (3, [1, 1, 1, 1]),
        (3, [0, 0, 1, 1]),
        (3, [0, 1, 2, 0]),
        (4, [1, 2, 1, 0]),
        (5, [2, 2, 2, 2]),
        (5, [0, 0, 0, 0]),
        (7, [3, 3, 3, 3]),
    ],
)
def test_strided_convolutions_are_differentiated_phase_by_phase(
    kernel: int, pads: list[int], activation: str, text_model: Parser, rng: np.random.Generator
) -> None:
    text = STRIDED.format(height=10, width=14, kernel=kernel, pads=pads, activation=activation)
    fast = lowered(differentiated(ir.from_proto(text_model(text))), Platform.CPU)
    assert kernels(fast) == [(12, 1, 2, 2)]  # copies of the four phases of three channels
    wanted, found = gradients(text, text_model, rng, 10)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE * np.abs(wanted).max())


def test_odd_maps_are_differentiated_as_a_whole(text_model: Parser) -> None:
    text = STRIDED.format(height=9, width=14, kernel=3, pads=[1, 1, 1, 1], activation=CLIP)
    fast = lowered(differentiated(ir.from_proto(text_model(text))), Platform.CPU)
    assert kernels(fast) == [(16, 1, 3, 3)]


def test_transposed_convolutions_of_a_model_stay(text_model: Parser) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[N, 8, 4, 4] x) => (float[N, 3, 8, 8] y)
    <float[8, 1, 3, 3] w, float[3, 8, 1, 1] e>
    {
        t = ConvTranspose <group = 8, strides = [2, 2], pads = [1, 1, 0, 0]> (x, w)
        y = Conv (t, e)
    }"""
    model = prepared(ir.from_proto(text_model(text)))  # which tells sizes
    assert [node.op_type for node in lowered(model, Platform.CPU).graph] == [
        "ConvTranspose", "Conv",
    ]  # fmt: skip


COMPARISONS = {"Where", "Greater", "GreaterOrEqual", "Less"}


def slopes(
    activation: str, kinks: Sequence[float], text_model: Parser
) -> tuple[ir.Model, list[Array]]:
    """An activation's lowered gradient, and slopes at some x as written by rules and lowered.

    x is in the blocked layout.
    """
    text = f"""<ir_version: 8, opset_import: ["" : 17]>
    g (float[N, 16, 1, {len(kinks)}] image) => (float[N, 16, 1, {len(kinks)}] y)
    <float[16, 1, 1, 1] ones, float one = {{1}}, float minus = {{-1}}, float zero = {{0}},
    float six = {{6}}>
    {{ x = Conv <group = 16> (image, ones) y = {activation} }}"""
    proto = text_model(text)
    ones = onnx.numpy_helper.from_array(np.ones((16, 1, 1, 1), np.float32), "ones")
    proto.graph.initializer[0].CopyFrom(ones)
    exact = differentiated(ir.from_proto(proto), of="y", wrt="image")
    fast = lowered(exact, Platform.CPU)
    image = np.broadcast_to(np.array(kinks, np.float32), (2, 16, 1, len(kinks))).copy()
    feeds = {"image": image, "output_gradient": np.ones_like(image)}
    written, fast_found = (opened(model)(**feeds) for model in (exact, fast))
    np.testing.assert_array_equal(fast_found["y"], written["y"])
    return fast, [written["input_gradient"], fast_found["input_gradient"]]


def test_hard_swish_has_its_slope_below_at_and_above_its_kinks(text_model: Parser) -> None:
    """Exactly, without comparisons, of a gate that is computed once."""
    kinks = [-40, -3, -2.75, -1.5, 0, 1.5, 2.75, 3, 40]
    fast, found = slopes("HardSwish (x)", kinks, text_model)
    assert not COMPARISONS & {node.op_type for node in fast.graph}
    gates = [node for node in fast.graph if node.outputs[0].name == "y"]
    assert [node.op_type for node in gates] == ["Mul"]
    read_x = [node.op_type for node, _ in gates[0].inputs[0].uses()]
    assert read_x == ["HardSigmoid", "Mul"]
    wanted = np.array([0, 0, -5 / 12, 0, 0.5, 1, 17 / 12, 1, 1], np.float32)
    for slope in found:
        np.testing.assert_allclose(slope, np.broadcast_to(wanted, slope.shape), rtol=0, atol=2e-7)


TINY, BELOW_SIX = float(np.finfo(np.float32).tiny), float(np.nextafter(np.float32(6), 0))


@pytest.mark.parametrize(
    ("activation", "kinks", "wanted", "products"),
    [
        ("Clip (x, zero, six)", [-7, 0, TINY, 3, BELOW_SIX, 6, 9], [0, 0, 1, 1, 1, 0, 0], 1),
        ("Clip (x, one, six)", [0, 1, 1 + 2**-23, 3, BELOW_SIX, 6, 9], [0, 0, 1, 1, 1, 0, 0], 2),
        ("Clip (x, minus, one)", [-2, -1, -0.5, 0, 0.5, 1, 2], [0, 0, 1, 1, 1, 0, 0], 2),
        ("Clip (x, zero)", [-7, 0, TINY, 3, BELOW_SIX, 6, 9], [0, 0, 1, 1, 1, 1, 1], 1),
    ],
)
def test_steps_between_zero_and_a_bound_are_one(
    activation: str,
    kinks: list[float],
    wanted: list[float],
    products: int,
    text_model: Parser,
) -> None:
    """Exactly at the bounds and beside them; each product keeps x on one side or between."""
    fast, found = slopes(activation, kinks, text_model)
    used = [node.op_type for node in fast.graph]
    assert not COMPARISONS & set(used)
    assert used.count("Mul") == products
    for slope in found:
        np.testing.assert_array_equal(slope, np.broadcast_to(np.float32(wanted), slope.shape))


@pytest.mark.parametrize("name", ["mobilenet_v3", "efficientnet"])
def test_gates_are_differentiated_without_leaving_the_blocked_layout(
    name: str, networks: dict[str, ir.Model]
) -> None:
    """Numbers per channel are repeated by Resize, and sums over cells are means."""
    fast = lowered(differentiated(networks[name]), Platform.CPU)
    used = {node.op_type for node in fast.graph}
    assert "Resize" in used
    assert not {"Expand", "ReduceSum", "Where"} & used


def test_sums_over_cells_are_means_times_their_number(
    text_model: Parser, rng: np.random.Generator
) -> None:
    exact = differentiated(ir.from_proto(text_model(GATED)))
    fast = lowered(exact, Platform.CPU)
    assert "ReduceSum" in {node.op_type for node in exact.graph}
    assert "ReduceSum" not in {node.op_type for node in fast.graph}
    wanted, found = gradients(GATED, text_model, rng, 6)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE * np.abs(wanted).max())


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3", "efficientnet"])
def test_scores_beside_a_gradient_have_the_bits_of_the_plain_pass(
    name: str, networks: dict[str, ir.Model], feeds: dict[str, Array]
) -> None:
    fast = lowered(differentiated(networks[name]), Platform.CPU)
    found = opened(fast)(image=feeds["image"], output_gradient=np.eye(2, 7, dtype=np.float32))
    plain = opened(networks[name])(image=feeds["image"])
    for output, values in plain.items():
        np.testing.assert_array_equal(found[output], values)
