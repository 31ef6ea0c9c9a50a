"""Fused operators of com.microsoft, in ONNX Runtime against autograd."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from numpy.typing import NDArray

from heatproof.graphs.gradients import differentiated

Array = NDArray[Any]
Function = Callable[..., torch.Tensor]
TOLERANCE = 1e-5
"""Of float32, over sums of some ten terms of order 1."""


def convolved(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    return (F.conv2d(x, w, b, 2, 1) + z).relu()


def hard(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (0.1 * F.conv2d(x, w, b) + 0.4).clamp(0, 1)


FUSED: dict[str, tuple[str, Function, str]] = {
    "gelu": ("Gelu (x)", F.gelu, ""),
    "gelu of a sum": ("BiasGelu (x, v)", lambda x, v: F.gelu(x + v), "v"),
    "fast gelu": ("FastGelu (x, v)", lambda x, v: F.gelu(x + v, approximate="tanh"), "v"),
    "quick gelu": ("QuickGelu (x)", lambda x: x * torch.sigmoid(1.702 * x), ""),
    "convolution, sum and relu": (
        'FusedConv <activation = "Relu", strides = [2, 2], pads = [1, 1, 1, 1]> (x, w, b, z)',
        convolved,
        "wbz",
    ),
    "convolution and hard sigmoid": (
        'FusedConv <activation = "HardSigmoid", activation_params = [0.1, 0.4]> (x, w, b)',
        hard,
        "wb",
    ),
    "convolution and clip": (
        'FusedConv <activation = "Clip", activation_params = [0.0, 6.0]> (x, w)',
        lambda x, w: F.relu6(F.conv2d(x, w)),
        "w",
    ),
}
SHAPES = {"v": (6,), "w": (4, 3, 3, 3), "b": (4,), "z": (2, 4, 4, 3)}


@pytest.mark.parametrize("opset", [17, 20])
@pytest.mark.parametrize("name", FUSED)
def test_fused_operators_are_differentiated(
    rng: np.random.Generator, name: str, opset: int
) -> None:
    body, function, others = FUSED[name]
    given = {key: rng.standard_normal(SHAPES[key]).astype(np.float32) for key in others}
    declared = ", ".join(f"float{list(array.shape)} {key}" for key, array in given.items())
    model = ir.from_onnx_text(
        f'<ir_version: 8, opset_import: ["" : {opset}, "com.microsoft" : 1]>'
        f" g (float[2, 3, 8, 6] x{', ' if declared else ''}{declared}) => (float[a, c, d, e] y)"
        f" {{ y = com.microsoft.{body} }}"
    )
    proto = ir.to_proto(differentiated(model, of="y", wrt="x"))
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    x = rng.standard_normal((2, 3, 8, 6)).astype(np.float32)
    leaf = torch.tensor(x, requires_grad=True)
    y = function(leaf, *map(torch.tensor, given.values()))
    v = rng.standard_normal(tuple(y.shape)).astype(np.float32)
    (expected,) = torch.autograd.grad(y, leaf, torch.tensor(v))
    (found,) = session.run(["input_gradient"], {"x": x, **given, "output_gradient": v})
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=TOLERANCE)


def test_a_fused_sum_passes_the_gradient_to_its_second_term(rng: np.random.Generator) -> None:
    model = ir.from_onnx_text(
        '<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>'
        " g (float[1, 2, 3, 3] x, float[2, 2, 1, 1] w, float[2] b, float[1, 2, 3, 3] z)"
        " => (float[1, 2, 3, 3] y)"
        ' { y = com.microsoft.FusedConv <activation = "Relu"> (x, w, b, z) }'
    )
    proto = ir.to_proto(differentiated(model, of="y", wrt="z"))
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    x, z, v = rng.standard_normal((3, 1, 2, 3, 3)).astype(np.float32)
    w, b = rng.standard_normal((2, 2, 1, 1)).astype(np.float32), np.zeros(2, np.float32)
    feeds = {"x": x, "w": w, "b": b, "z": z, "output_gradient": v}
    y, found = session.run(["y", "input_gradient"], feeds)
    np.testing.assert_array_equal(found, np.where(np.asarray(y) > 0, v, 0))
