"""Means over 3 x 3 boxes, in every form that they are computed in."""

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from heatproof.graphs.lowering.boxes import SLOW_AVERAGE_POOL, fast_box_means
from heatproof.graphs.masking.cells.boxes import box_means
from heatproof.graphs.operators.emitter import Emitter
from tests.graphs.sessions import opened

Form = Callable[[Emitter, ir.Value], ir.Value | None]
SIZE = (7, 5)


@pytest.mark.parametrize("form", [box_means, fast_box_means])
@pytest.mark.parametrize("opset", [17, 18, 19, 22, 25])
@pytest.mark.parametrize("channels", [1, 3, 16])
def test_means_are_those_of_the_definition(channels: int, opset: int, form: Form) -> None:
    x = ir.val("x", ir.DataType.FLOAT, ir.Shape(["n", channels, *SIZE]))
    graph = ir.Graph([x], [], nodes=[], opset_imports={"": opset}, name="boxes")
    y = form(Emitter(graph), x)
    if y is None:  # the pool is fastest
        assert opset < SLOW_AVERAGE_POOL
        return
    graph.outputs.append(y)
    array = np.random.default_rng(0).standard_normal((2, channels, *SIZE)).astype(np.float32)
    padded = np.pad(array.astype(float), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
    found = opened(ir.Model(graph, ir_version=10))(x=array)[y.name or ""]
    # Single precision: nine summands of order 1.
    np.testing.assert_allclose(found, windows.mean(axis=(-2, -1)), atol=5e-7)


def test_masks_have_static_sizes() -> None:
    x = ir.val("x", ir.DataType.FLOAT, ir.Shape(["n", 1, "h", 5]))
    graph = ir.Graph([x], [], nodes=[], opset_imports={"": 22}, name="boxes")
    with pytest.raises(TypeError, match="static"):
        fast_box_means(Emitter(graph), x)
