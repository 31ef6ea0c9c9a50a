"""Derivatives in float16 against autograd in float64.

They run in ONNX Runtime; where something might overflow, in the reference evaluator, which has no
wider numbers to fall back on.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from heatproof.graphs.gradients import differentiated

Array = NDArray[Any]
Function = Callable[[torch.Tensor], torch.Tensor]

TOLERANCE = 5e-3
"""Of the norm: float16 rounds to 5e-4, some ten times on the way."""

WEIGHTS = np.random.default_rng(11).uniform(-0.3, 0.3, (8, 3, 3, 3)).astype(np.float16)
W = torch.tensor(WEIGHTS).double()

CASES: dict[str, tuple[str, Function]] = {
    "conv": ("y = Conv <pads = [1, 1, 1, 1]> (x, w)", lambda x: F.conv2d(x, W, padding=1)),
    "strided conv": ("y = Conv <strides = [2, 2]> (x, w)", lambda x: F.conv2d(x, W, stride=2)),
    "silu": ("s = Sigmoid (x)  y = Mul (x, s)", F.silu),
    "gelu": ("y = Gelu (x)", F.gelu),
    "relu6": (
        (
            "a = Constant <value = float {0.0}> ()  b = Constant <value = float {6.0}> ()"
            "  l = Cast <to = 10> (a)  h = Cast <to = 10> (b)  y = Clip (x, l, h)"
        ),
        F.relu6,
    ),
    "hard swish": ("y = HardSwish (x)", F.hardswish),
    "max pool": (
        "y = MaxPool <kernel_shape = [3, 3], strides = [2, 2]> (x)",
        lambda x: F.max_pool2d(x, 3, 2),
    ),
    "largest": (
        "k = Constant <value = int64[1] {3}> ()  y, i = TopK (x, k)",
        lambda x: x.topk(3).values,
    ),
    "average pool": (
        "y = AveragePool <kernel_shape = [3, 3], strides = [2, 2]> (x)",
        lambda x: F.avg_pool2d(x, 3, 2),
    ),
    "global mean": ("y = GlobalAveragePool (x)", lambda x: x.mean((2, 3), keepdim=True)),
    "softmax": ("y = Softmax <axis = 1> (x)", lambda x: F.softmax(x, 1)),
}


def model_of(body: str, shape: str = "N, 3, 12, 10") -> ir.Model:
    model = ir.from_onnx_text(
        '<ir_version: 10, opset_import: ["" : 20]>'
        f"g (float16[{shape}] x, float16[8, 3, 3, 3] w) => (float16[a, b, c, d] y) {{ {body} }}"
    )
    (value,) = (one for one in model.graph.inputs if one.name == "w")
    model.graph.inputs.remove(value)
    value.const_value = ir.tensor(WEIGHTS, name="w")
    model.graph.register_initializer(value)
    return model


def in_runtime(model: ir.Model, **feeds: Array) -> Array:
    proto = ir.to_proto(differentiated(model, of="y", wrt="x"))
    onnx.checker.check_model(proto, full_check=True)
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(["input_gradient"], feeds)
    return np.asarray(found)


def in_reference(model: ir.Model, **feeds: Array) -> Array:
    evaluator = ReferenceEvaluator(ir.to_proto(differentiated(model, of="y", wrt="x")))
    with np.errstate(over="ignore", invalid="ignore"):  # in the forward pass
        (found,) = evaluator.run(["input_gradient"], feeds)
    return np.asarray(found)


def compare(
    run: Callable[..., Array], model: ir.Model, function: Function, x: Array, v: Array
) -> None:
    leaf = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(function(leaf), leaf, torch.tensor(v).double())
    found = run(model, x=x, output_gradient=v)
    assert found.dtype == np.float16
    error = np.linalg.norm(found - expected.numpy()) / np.linalg.norm(expected.numpy())
    assert error < TOLERANCE


@pytest.mark.parametrize("name", CASES)
def test_rules_work_in_float16(rng: np.random.Generator, name: str) -> None:
    body, function = CASES[name]
    x = (2 * rng.standard_normal((2, 3, 12, 10))).astype(np.float16)
    shape = tuple(function(torch.tensor(x).double()).shape)
    v = rng.standard_normal(shape).astype(np.float16)
    compare(in_runtime, model_of(body), function, x, v)


@pytest.mark.parametrize(
    ("body", "function"),
    [
        ("y = InstanceNormalization (x, s, b)", F.instance_norm),
        ("y = LayerNormalization <axis = 1> (x, t)", lambda x: F.layer_norm(x, (3, 6, 5))),
    ],
)
def test_squares_beyond_float16_do_not_overflow(
    rng: np.random.Generator, body: str, function: Function
) -> None:
    constants = (
        "i = Constant <value = float[3] {1.0, 1.0, 1.0}> ()  s = Cast <to = 10> (i)"
        "  z = Constant <value = float[3] {0.0, 0.0, 0.0}> ()  b = Cast <to = 10> (z)"
        "  k = Constant <value = int64[3] {3, 6, 5}> ()  o = Constant <value = float {1.0}> ()"
        "  e = Expand (o, k)  t = Cast <to = 10> (e)  "
    )
    x = (1000 * rng.standard_normal((2, 3, 6, 5))).astype(np.float16)
    v = (1000 * rng.standard_normal((2, 3, 6, 5))).astype(np.float16)
    model = model_of(constants + body, "2, 3, 6, 5")
    compare(in_reference, model, function, x, v)


def test_counts_beyond_float16_do_not_overflow(rng: np.random.Generator) -> None:
    """A map of 300 x 300 has more cells than the largest float16; each has its share."""
    model = model_of("y = GlobalAveragePool (x)", "1, 3, H, W")
    x = rng.standard_normal((1, 3, 300, 300)).astype(np.float16)
    v = np.full((1, 3, 1, 1), 900, np.float16)
    found = in_reference(model, x=x, output_gradient=v)
    np.testing.assert_allclose(found, 0.01, rtol=TOLERANCE)
