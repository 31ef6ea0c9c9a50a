"""Weights changed at random: which, from what distribution, and by nothing but seed and name."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from heatproof.evaluators.errors import UnknownNameError
from heatproof.evaluators.images.preprocessing import PRESETS, ChannelOrder
from heatproof.evaluators.queries.passes import WeightNoise
from heatproof.graphs.canonical import canonicalize
from heatproof.graphs.gradients import differentiated
from heatproof.graphs.masking import layer_masked
from heatproof.graphs.preparation import prepared
from heatproof.graphs.randomization import layers_of, randomized
from tests.graphs.sessions import opened

Parse = Callable[[str], onnx.ModelProto]

WEIGHTED = """
<ir_version: 10, opset_import: ["" : 18]>
g (float[N, 3, 8, 8] image) => (float[N, 5] scores)
<float[64, 3, 3, 3] w, float[64] b, float[64] scale, float[64] shift, float[64] mean,
 float[64] var = {VARIANCES}, float[64, 5] v, float[5] c, float[64] factor, float two = {2}>
{
    [stretch] stretched = Mul (image, two)
    [conv] x = Conv <pads = [1, 1, 1, 1]> (stretched, w, b)
    [norm] n = BatchNormalization (x, scale, shift, mean, var)
    [act] r = Relu (n)
    [double] d = Mul (r, two)
    [pool] p = GlobalAveragePool (d)
    [flat] f = Flatten (p)
    [gain] h = Mul (f, factor)
    [product] m = MatMul (h, v)
    [bias] scores = Add (m, c)
}
""".replace("VARIANCES", ", ".join(f"{1 + index / 64}" for index in range(64)))

LAYERS = ("conv", "norm", "gain", "product", "bias")


@pytest.fixture
def model(text_model: Parse) -> ir.Model:
    return prepared(ir.from_proto(text_model(WEIGHTED)))


def operands(model: ir.Model, name: str) -> list[np.ndarray | None]:
    node = next(node for node in model.graph if node.name == name)
    return [
        None if value is None or value.const_value is None else value.const_value.numpy()
        for value in node.inputs
    ]


def test_layers_are_the_nodes_with_weights_in_the_order_of_the_graph(model: ir.Model) -> None:
    assert layers_of(model) == LAYERS


def test_only_the_layers_named_are_drawn(model: ir.Model) -> None:
    drawn = randomized(model, ["norm", "bias"], 3)
    for name in ("conv", "gain", "product"):
        for old, new in zip(operands(model, name), operands(drawn, name), strict=True):
            np.testing.assert_array_equal(old, new)
    _, scale, shift, mean, var = operands(model, "norm")
    _, new_scale, new_shift, new_mean, new_var = operands(drawn, "norm")
    assert not np.isclose(scale, new_scale).any()
    assert not np.isclose(shift, new_shift).any()
    np.testing.assert_array_equal(mean, new_mean)  # statistics of the data, no weights
    np.testing.assert_array_equal(var, new_var)
    assert not np.isclose(operands(model, "bias")[1], operands(drawn, "bias")[1]).any()


def test_the_model_itself_is_left_alone(model: ir.Model) -> None:
    before = ir.to_proto(model).SerializeToString(deterministic=True)
    randomized(model, LAYERS, 3)
    assert ir.to_proto(model).SerializeToString(deterministic=True) == before


def test_weights_keep_their_tensors_mean_and_deviation(text_model: Parse) -> None:
    text = """<ir_version: 10, opset_import: ["" : 18]>
    g (float[N, 400] x) => (float[N, 250] y) <float[400, 250] w> { [only] y = MatMul (x, w) }"""
    model = prepared(ir.from_proto(text_model(text)))
    old = operands(model, "only")[1]
    assert old is not None
    moved = ir.tensor((3 + 0.5 * old).astype(np.float32))
    model.graph.initializers["w"].const_value = moved
    new = operands(randomized(model, ["only"], 0), "only")[1]
    assert new is not None
    assert (new.dtype, new.shape) == (np.float32, (400, 250))
    count = new.size
    assert new.mean() == pytest.approx(moved.numpy().mean(), abs=5 * 0.5 / np.sqrt(count))
    assert new.std() == pytest.approx(moved.numpy().std(), rel=5 / np.sqrt(2 * count))
    standard = np.sort((new.ravel() - new.mean()) / new.std())
    shares = [float((np.abs(standard) < width).mean()) for width in (1, 2, 3)]
    assert shares == pytest.approx([0.6827, 0.9545, 0.9973], abs=0.008)  # of a normal distribution
    assert abs(np.corrcoef(new.ravel(), moved.numpy().ravel())[0, 1]) < 5 / np.sqrt(count)


def test_draws_depend_on_seed_and_layer_alone(model: ir.Model) -> None:
    alone = operands(randomized(model, ["product"], 3), "product")[1]
    among = operands(randomized(model, LAYERS[::-1], 3), "product")[1]
    other = operands(randomized(model, ["product"], 4), "product")[1]
    np.testing.assert_array_equal(alone, among)
    assert not np.isclose(alone, other).any()


@pytest.mark.parametrize("noise", [None, WeightNoise(0.1)])
def test_trained_weights_that_nobody_reads_are_gone(
    model: ir.Model, noise: WeightNoise | None
) -> None:
    def stored(one: ir.Model) -> int:
        held = (value.const_value for value in one.graph.initializers.values())
        return sum(tensor.size for tensor in held if tensor is not None)

    assert stored(randomized(model, LAYERS, 0, noise)) == stored(model)


def test_noise_multiplies_each_weight_by_a_normal_factor(text_model: Parse) -> None:
    text = """<ir_version: 10, opset_import: ["" : 18]>
    g (float[N, 400] x) => (float[N, 250] y) <float[400, 250] w> { [only] y = MatMul (x, w) }"""
    model = prepared(ir.from_proto(text_model(text)))
    old = operands(model, "only")[1]
    new = operands(randomized(model, ["only"], 0, WeightNoise(0.3)), "only")[1]
    assert old is not None
    assert new is not None
    assert (new.dtype, new.shape) == (np.float32, (400, 250))
    factors = new.astype(np.float64) / old
    assert factors.mean() == pytest.approx(1, abs=5 * 0.3 / np.sqrt(factors.size))
    assert factors.std() == pytest.approx(0.3, rel=5 / np.sqrt(2 * factors.size))
    shares = [float((np.abs(factors - 1) < width * 0.3).mean()) for width in (1, 2, 3)]
    assert shares == pytest.approx([0.6827, 0.9545, 0.9973], abs=0.008)  # of a normal distribution
    assert abs(np.corrcoef(factors.ravel(), old.ravel())[0, 1]) < 5 / np.sqrt(factors.size)


def test_noise_falls_on_all_weights_and_leaves_zeros_and_statistics(model: ir.Model) -> None:
    shift = next(node for node in model.graph if node.name == "norm").inputs[2]
    assert shift is not None
    shift.const_value = ir.tensor(np.zeros(64, np.float32))
    drawn = randomized(model, LAYERS, 3, WeightNoise(0.1))
    _, scale, shift_before, mean, var = operands(model, "norm")
    _, new_scale, new_shift, new_mean, new_var = operands(drawn, "norm")
    assert not np.isclose(scale, new_scale, rtol=1e-5).all()
    for old, new in ((shift_before, new_shift), (mean, new_mean), (var, new_var)):
        np.testing.assert_array_equal(old, new)
    for name, place in (("conv", 1), ("conv", 2), ("gain", 1), ("product", 1), ("bias", 1)):
        old, new = (operands(one, name)[place] for one in (model, drawn))
        assert not np.array_equal(old, new)


def test_noise_goes_by_seed_deviation_draw_and_layer_alone(model: ir.Model) -> None:
    def factors(layers: tuple[str, ...], seed: int, noise: WeightNoise) -> np.ndarray:
        new = operands(randomized(model, layers, seed, noise), "product")[1]
        old = operands(model, "product")[1]
        made: np.ndarray = (new.astype(np.float64) / old - 1) / noise.deviation  # type: ignore[union-attr]  # stored
        return made.ravel()

    noise = WeightNoise(0.1, 1)
    first = factors(("product",), 3, noise)
    np.testing.assert_array_equal(first, factors(LAYERS[::-1], 3, noise))
    for seed, other in ((4, noise), (3, WeightNoise(0.1, 2)), (3, WeightNoise(0.2, 1))):
        unlike = np.corrcoef(first, factors(("product",), seed, other))[0, 1]
        assert abs(unlike) < 5 / np.sqrt(first.size)


def test_noise_beyond_the_range_of_half_precision_is_infinite(text_model: Parse) -> None:
    text = """<ir_version: 10, opset_import: ["" : 18]>
    g (float16[N, 9] x) => (float16[N, 9] y) <float16[9, 9] w> { [one] y = MatMul (x, w) }"""
    model = prepared(ir.from_proto(text_model(text)))
    model.graph.initializers["w"].const_value = ir.tensor(np.full((9, 9), 6e4, np.float16))
    new = operands(randomized(model, ["one"], 0, WeightNoise(1.0)), "one")[1]
    assert new is not None
    assert new.dtype == np.float16
    assert np.isinf(new).any()


def test_layers_of_equal_shape_draw_differently(text_model: Parse) -> None:
    text = """<ir_version: 10, opset_import: ["" : 18]>
    g (float[N, 9] x) => (float[N, 9] y) <float[9, 9] w>
    { [one] a = MatMul (x, w) [two] y = MatMul (a, w) }"""
    model = prepared(ir.from_proto(text_model(text)))
    drawn = randomized(model, ["one", "two"], 0)
    assert not np.isclose(operands(drawn, "one")[1], operands(drawn, "two")[1]).any()
    half = randomized(model, ["one"], 0)  # a shared tensor stays with its other reader
    np.testing.assert_array_equal(operands(half, "two")[1], operands(model, "two")[1])


@pytest.mark.parametrize("order", list(ChannelOrder))
def test_preprocessing_and_the_last_steps_are_no_layers(
    text_model: Parse, order: ChannelOrder
) -> None:
    text = """<ir_version: 10, opset_import: ["" : 18]>
    g (float[N, 3, 8, 8] image) => (float[N, 1] p) <float[4, 3, 3, 3] w, float[4, 1] v>
    { [conv] c = Conv (image, w) [pool] p4 = GlobalAveragePool (c) [flat] f = Flatten (p4)
      [product] z = MatMul (f, v) [end] p = Sigmoid (z) }"""
    preprocessing = replace(PRESETS["imagenet"], channel_order=order)
    canonical = canonicalize(ir.from_proto(text_model(text)), preprocessing)
    assert [node.op_type for node in canonical.model.graph].count("MatMul") == 2
    assert layers_of(canonical.model) == ("conv", "product")


def test_quantized_weights_are_drawn_around_their_real_numbers(text_model: Parse) -> None:
    text = """<ir_version: 10, opset_import: ["" : 18]>
    g (float[N, 3, 8, 8] image) => (float[N, 2, 8, 8] y)
    <int8[2, 3, 1, 1] w = {10, 20, 30, 4, 5, 9}, float[2] s = {0.5, 2}, int8[2] z = {0, 3}>
    { [weights] d = DequantizeLinear <axis = 0> (w, s, z) [conv] y = Conv (image, d) }"""
    model = prepared(ir.from_proto(text_model(text)))
    assert layers_of(model) == ("conv",)
    draws = [operands(randomized(model, ["conv"], seed), "conv")[1] for seed in range(2000)]
    real = np.array([5, 10, 15, 2, 4, 12.0])
    assert np.mean(draws) == pytest.approx(real.mean(), abs=5 * real.std() / np.sqrt(12000))
    assert np.std(draws) == pytest.approx(real.std(), rel=0.05)


def test_half_precision_stays(text_model: Parse) -> None:
    text = """<ir_version: 10, opset_import: ["" : 18]>
    g (float16[N, 9] x) => (float16[N, 9] y) <float16[9, 9] w> { [one] y = MatMul (x, w) }"""
    model = prepared(ir.from_proto(text_model(text)))
    new = operands(randomized(model, ["one"], 0), "one")[1]
    assert new is not None
    assert new.dtype == np.float16


def test_unknown_layers_are_refused_by_name(model: ir.Model) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown layer 'konv'; did you mean 'conv'"):
        randomized(model, ["konv"], 0)
    with pytest.raises(UnknownNameError, match="unknown layer 'act'"):
        randomized(model, ["act"], 0)


def test_randomized_models_run_masked_and_differentiated(model: ir.Model) -> None:
    image = np.random.default_rng(1).random((2, 3, 8, 8), np.float32)
    drawn = randomized(model, LAYERS, 5)
    plain, trained = opened(drawn)(image=image), opened(model)(image=image)
    assert not np.isclose(plain["scores"], trained["scores"]).any()
    mask = np.ones((2, 1, 8, 8), np.float32)
    masked = opened(layer_masked(drawn))(image=image, mask=mask)
    np.testing.assert_allclose(masked["scores"], plain["scores"], rtol=1e-5, atol=1e-5)
    gradient = opened(differentiated(drawn))(image=image, output_gradient=np.eye(2, 5, dtype="f"))
    assert np.isfinite(gradient["input_gradient"]).all()
    assert gradient["input_gradient"].any()
