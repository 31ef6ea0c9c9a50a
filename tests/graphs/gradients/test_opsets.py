"""One network in every opset that models come in, in ONNX Runtime against autograd."""

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from numpy.typing import NDArray

from heatproof.graphs.files.limits import OLDEST_OPSET
from heatproof.graphs.gradients import differentiated

Array = NDArray[Any]
NEWEST_RUN = 26
"""ONNX Runtime has no kernels of opset 27 and later for all of these operators."""

TOLERANCE = 1e-5
"""Of the norm, for float32 over a few layers."""

NETWORK = """
{
    a = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (image, w)
    b = Relu (a)
    c = MaxPool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (b)
    d = LeakyRelu (c)
    e = AveragePool <kernel_shape = [2, 2], strides = [1, 1]> (d)
    f = Concat <axis = 1> (e, e)
    g = LRN <size = 3> (f)
    h = Elu (g)
    p = GlobalAveragePool (h)
    q = Flatten (p)
    r = Gemm <transB = 1> (q, v, u)
    logits = Softmax <axis = 1> (r)
}
"""


def network(image: torch.Tensor, *, w: Array, v: Array, u: Array) -> torch.Tensor:
    kernel, weights, bias = (torch.tensor(array).double() for array in (w, v, u))
    x = F.conv2d(image, kernel, stride=2, padding=1).relu()
    x = F.avg_pool2d(F.leaky_relu(F.max_pool2d(x, 3, 2, 1)), 2, 1)
    x = F.local_response_norm(torch.cat([x, x], 1), 3)
    return F.softmax(F.linear(F.elu(x).mean((2, 3)), weights, bias), 1)


@pytest.mark.parametrize("opset", range(OLDEST_OPSET, NEWEST_RUN + 1))
def test_a_network_of_any_opset_is_differentiated(rng: np.random.Generator, opset: int) -> None:
    shapes = {"w": (4, 3, 3, 3), "v": (5, 8), "u": (5,)}
    weights = {
        name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()
    }
    head = f'<ir_version: 8, opset_import: ["" : {opset}]>'
    declared = ", ".join(f"float[{','.join(map(str, s))}] {n}" for n, s in shapes.items())
    model = ir.from_onnx_text(
        f"{head} g (float[N, 3, 20, 18] image, {declared}) => (float[N, 5] logits) {NETWORK}"
    )
    for name, array in weights.items():
        (value,) = (one for one in model.graph.inputs if one.name == name)
        model.graph.inputs.remove(value)
        value.const_value = ir.tensor(array, name=name)
        model.graph.register_initializer(value)
    proto = ir.to_proto(differentiated(model, of="logits", wrt="image"))
    onnx.checker.check_model(proto, full_check=True)
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    x = rng.standard_normal((2, 3, 20, 18)).astype(np.float32)
    vector = rng.standard_normal((2, 5)).astype(np.float32)
    feeds = {"image": x, "output_gradient": vector}
    (found,) = session.run(["input_gradient"], feeds)
    leaf = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    scores = network(leaf, **weights)
    (expected,) = torch.autograd.grad(scores, leaf, torch.tensor(vector, dtype=torch.float64))
    error = np.linalg.norm(found - expected.numpy()) / np.linalg.norm(expected.numpy())
    assert error < TOLERANCE
