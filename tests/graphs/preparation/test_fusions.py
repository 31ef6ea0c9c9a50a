"""Operators that ONNX Runtime fuses are taken apart without changing the answer."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from heatproof.graphs.masking import layer_masked
from heatproof.graphs.preparation import prepared

Array = NDArray[Any]
RNG = np.random.default_rng(0)
WEIGHTS = RNG.standard_normal((3, 3, 3, 3)).astype(np.float32) / 5
BIAS = RNG.standard_normal(3).astype(np.float32)


def model(nodes: str, weights: dict[str, Array]) -> ir.Model:
    text = f"""<ir_version: 9, opset_import: ["": 17, "com.microsoft": 1]>
        g (float[n, 3, 6, 6] image) => (float[n, 3, 6, 6] y) {{ {nodes} }}"""
    graph = ir.from_onnx_text(text)
    for name, array in weights.items():
        value = next(v for node in graph.graph for v in node.inputs if v and v.name == name)
        value.const_value = ir.tensor(array, name=name)
        graph.graph.register_initializer(value)
    return graph


def answer(graph: ir.Model, **feeds: Array) -> Array:
    content = ir.to_proto(graph).SerializeToString()
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["y"], feeds)[0])


def last_axis(op_type: str) -> str:
    return f"t = com.microsoft.{op_type} (image, b) y = Identity (t)"


CONVOLUTION = "y = com.microsoft.FusedConv <pads = [1, 1, 1, 1], {}> ({})"
FUSED: dict[str, tuple[str, dict[str, Array]]] = {
    "Gelu": ("y = com.microsoft.Gelu (image)", {}),
    "QuickGelu": ("y = com.microsoft.QuickGelu <alpha = 1.5> (image)", {}),
    "FastGelu": ("y = com.microsoft.FastGelu (image)", {}),
    "BiasGelu": (last_axis("BiasGelu"), {"b": np.tile(BIAS, 2)}),
    "biased FastGelu": (last_axis("FastGelu"), {"b": np.tile(BIAS, 2)}),
    **{
        f"Conv and {kind}": (
            CONVOLUTION.format(f'activation = "{kind}"{parameters}', "image, w, b"),
            {"w": WEIGHTS, "b": BIAS},
        )
        for kind, parameters in {
            "Relu": "",
            "Tanh": "",
            "Sigmoid": "",
            "LeakyRelu": ", activation_params = [0.3]",
            "Clip": ", activation_params = [-0.5, 0.25]",
            "HardSigmoid": ", activation_params = [0.3, 0.4]",
        }.items()
    },
    "Conv and sum": (
        CONVOLUTION.format('activation = "Relu"', "image, w, b, image"),
        {"w": WEIGHTS, "b": BIAS},
    ),
}


@pytest.mark.parametrize("name", FUSED)
def test_parts_compute_what_the_fused_operator_does(name: str) -> None:
    fused = model(*FUSED[name])
    image = RNG.standard_normal((2, 3, 6, 6)).astype(np.float32) * 2
    plain = prepared(fused)
    assert {node.domain for node in plain.graph} == {""}
    onnx.checker.check_model(ir.to_proto(plain), full_check=True)
    np.testing.assert_allclose(answer(plain, image=image), answer(fused, image=image), atol=1e-5)


def test_a_fused_dense_layer_is_taken_apart() -> None:
    text = """<ir_version: 9, opset_import: ["": 17, "com.microsoft": 1]>
        g (float[n, 5] image, float[5, 3] w) => (float[n, 3] y)
        { y = com.microsoft.FusedGemm
              <activation = "LeakyRelu", activation_alpha = 0.2> (image, w) }"""
    fused = ir.from_onnx_text(text)
    feeds = {
        "image": RNG.standard_normal((2, 5)).astype(np.float32),
        "w": RNG.standard_normal((5, 3)).astype(np.float32),
    }
    plain = prepared(fused)
    assert [node.op_type for node in plain.graph] == ["Gemm", "LeakyRelu"]
    np.testing.assert_allclose(answer(plain, **feeds), answer(fused, **feeds), atol=1e-6)


def test_an_optimised_model_is_masked_as_the_original(tmp_path: Path) -> None:
    nodes = """c = Conv <pads = [1, 1, 1, 1]> (image, w, b) r = LeakyRelu <alpha = 0.1> (c)
        d = Conv <pads = [1, 1, 1, 1]> (r, v, b) h = Div (d, root) e = Erf (h) o = Add (e, one)
        p = Mul (d, o) y = Mul (p, half)"""
    numbers = {"root": np.sqrt(2), "one": 1.0, "half": 0.5}
    constants = {name: np.array(number, np.float32) for name, number in numbers.items()}
    original = model(nodes, {"w": WEIGHTS, "b": BIAS, "v": WEIGHTS[::-1].copy(), **constants})
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    ort.InferenceSession(
        ir.to_proto(original).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    optimised = ir.load(tmp_path / "optimised.onnx")
    assert {node.op_type for node in optimised.graph} == {"FusedConv", "Conv", "Gelu"}
    feeds = {
        "image": RNG.standard_normal((2, 3, 6, 6)).astype(np.float32),
        "mask": (RNG.random((2, 1, 6, 6)) < 0.3).astype(np.float32),
    }
    expected = answer(layer_masked(original), **feeds)
    np.testing.assert_allclose(answer(layer_masked(optimised), **feeds), expected, atol=1e-5)
