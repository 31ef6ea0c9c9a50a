"""The laws in models of opsets that rewrites are not written in."""

import numpy as np
import onnx_ir as ir
import pytest

from heatproof.graphs.masking import MaskingOptions, Mode
from tests.graphs.masking.laws import Laws
from tests.graphs.masking.single import CHANNELS, graph

RESIZED = {
    7: 'e = Upsample <mode = "nearest", scales = [1.0, 1.0, 2.0, 2.0]> (d)',
    8: 'e = Upsample <mode = "linear", scales = [1.0, 1.0, 2.0, 2.0]> (d)',
    9: 'e = Upsample <mode = "nearest"> (d, scales)',
    10: 'e = Resize <mode = "linear"> (d, scales)',
}


def network(opset: int) -> ir.Model:
    rng = np.random.default_rng(0)
    shapes = {"kernel": (CHANNELS, CHANNELS, 3, 3), "head": (5, 2 * CHANNELS), "bias": (5,)}
    weights = {
        name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()
    }
    weights |= {one: rng.uniform(0.5, 1.5, CHANNELS).astype(np.float32) for one in "stmv"}
    if "scales)" in RESIZED[opset]:
        weights["scales"] = np.array([1, 1, 2, 2], np.float32)
    nodes = f"""
        b = BatchNormalization (x, s, t, m, v)  r = Clip <min = 0.0, max = 6.0> (b)
        p = MaxPool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (r)
        q = Pad <pads = [0, 0, 1, 1, 0, 0, 1, 1]> (p)  c = Conv (q, kernel)
        d = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (c)  {RESIZED[opset]}
        k = Concat <axis = 1> (e, e)  l = Dropout <ratio = 0.5> (k)
        h = GlobalAveragePool (l)  f = Flatten (h)  z = Gemm <transB = 1> (f, head, bias)
        y = Softmax <axis = 1> (z)"""
    return graph(nodes, weights, opset=opset, size=(24, 20))


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("opset", RESIZED)
def test_old_models_obey_the_laws(opset: int, mode: Mode) -> None:
    Laws(network(opset), MaskingOptions(mode=mode)).check()
