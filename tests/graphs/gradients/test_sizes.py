"""Derivatives of graphs whose spatial sizes are known only when they run."""

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

from heatproof.evaluators.errors import UnsupportedOperatorError
from heatproof.graphs.gradients import differentiated

Array = NDArray[Any]
Function = Callable[[torch.Tensor], torch.Tensor]

TOLERANCE = 1e-5
"""Of float32, over sums of some hundred terms."""

WEIGHTS = np.random.default_rng(4).standard_normal((4, 3, 3, 3)).astype(np.float32)
W = torch.tensor(WEIGHTS)


def counted(x: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)


CASES: dict[str, tuple[str, Function]] = {
    "conv": ("y = Conv <pads = [1, 1, 1, 1]> (x, w)", lambda x: F.conv2d(x, W, padding=1)),
    "strided conv": (
        "y = Conv <strides = [2, 3], pads = [1, 1, 1, 1]> (x, w)",
        lambda x: F.conv2d(x, W, stride=(2, 3), padding=1),
    ),
    "same padding": (
        'y = Conv <auto_pad = "SAME_UPPER"> (x, w)',
        lambda x: F.conv2d(x, W, padding="same"),
    ),
    "transposed conv": (
        (
            "v = Transpose <perm = [1, 0, 2, 3]> (w)"
            "  y = ConvTranspose <strides = [2, 2], output_padding = [1, 1]> (x, v)"
        ),
        lambda x: F.conv_transpose2d(x, W.transpose(0, 1), stride=2, output_padding=1),
    ),
    "max pool": (
        "y = MaxPool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (x)",
        lambda x: F.max_pool2d(x, 3, 2, 1),
    ),
    "average pool": (
        "y = AveragePool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (x)",
        counted,
    ),
    "average pool with padding": (
        (
            "y = AveragePool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1],"
            " count_include_pad = 1> (x)"
        ),
        lambda x: F.avg_pool2d(x, 3, 2, 1),
    ),
    "norm pool": (
        "y = LpPool <kernel_shape = [2, 2], strides = [2, 2]> (x)",
        lambda x: F.lp_pool2d(x, 2.0, 2),
    ),
    "global mean": ("y = GlobalAveragePool (x)", lambda x: x.mean((2, 3), keepdim=True)),
    "global maximum": ("y = GlobalMaxPool (x)", lambda x: F.adaptive_max_pool2d(x, 1)),
    "mean": ("y = ReduceMean <axes = [2, 3]> (x)", lambda x: x.mean((2, 3), keepdim=True)),
    "slice": (
        (
            "a = Constant <value = int64[2] {2, 3}> ()  b = Constant <value = int64[2] {1, -2}> ()"
            "  e = Constant <value = int64[2] {-1, 0}> ()"
            "  s = Constant <value = int64[2] {2, -1}> ()  y = Slice (x, b, e, a, s)"
        ),
        lambda x: x[:, :, 1:-1:2, 1:-1].flip(3),
    ),
    "gather": (
        "i = Constant <value = int64[3] {1, 1, -1}> ()  y = Gather <axis = 3> (x, i)",
        lambda x: x[..., [1, 1, -1]],
    ),
}


def model_of(body: str, weights: Array = WEIGHTS) -> ir.Model:
    model = ir.from_onnx_text(
        '<ir_version: 8, opset_import: ["" : 17]>'
        f"g (float[N, 3, H, W] x, float[4, 3, 3, 3] w) => (float[A, B, C, D] y) {{ {body} }}"
    )
    (value,) = (one for one in model.graph.inputs if one.name == "w")
    model.graph.inputs.remove(value)
    value.const_value = ir.tensor(weights, name="w")
    model.graph.register_initializer(value)
    return model


@pytest.mark.parametrize("size", [(9, 8), (10, 11), (7, 12)])  # every rest of a stride
@pytest.mark.parametrize("name", CASES)
def test_one_graph_differentiates_images_of_every_size(
    rng: np.random.Generator, name: str, size: tuple[int, int]
) -> None:
    body, function = CASES[name]
    proto = ir.to_proto(differentiated(model_of(body), of="y", wrt="x"))
    onnx.checker.check_model(proto, full_check=True)
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    x = rng.standard_normal((2, 3, *size)).astype(np.float32)
    leaf = torch.tensor(x, requires_grad=True)
    y = function(leaf)
    v = rng.standard_normal(tuple(y.shape)).astype(np.float32)
    (expected,) = torch.autograd.grad(y, leaf, torch.tensor(v))
    (found,) = session.run(["input_gradient"], {"x": x, "output_gradient": v})
    np.testing.assert_allclose(found, expected.numpy(), rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize(
    "body",
    [
        'y = Conv <auto_pad = "SAME_UPPER", strides = [2, 2]> (x, w)',
        "y = AveragePool <kernel_shape = [3, 3], strides = [2, 2], ceil_mode = 1> (x)",
        "s = Constant <value = float[4] {1.0, 1.0, 2.0, 2.0}> ()  y = Resize (x, , s)",
    ],
)
def test_what_depends_on_a_size_that_is_unknown_is_refused(body: str) -> None:
    with pytest.raises(UnsupportedOperatorError, match="dynamic"):
        differentiated(model_of(body), of="y", wrt="x")
