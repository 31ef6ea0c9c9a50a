"""Index arithmetic, computed weights and rounding pools, as exporters leave them in the graph."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from heatproof.graphs.preparation import prepared
from heatproof.graphs.preparation.shapes import extents
from heatproof.graphs.preparation.shapes.extents import Extent
from tests.graphs.sessions import opened

Array = NDArray[Any]
Parse = Callable[[str], onnx.ModelProto]

HEADER = """<ir_version: 8, opset_import: ["" : {opset}]>
g (float[N, 4, 6, 10] x) => (float[A, B, C, D] y)
<int64[1] zero = {{0}}, int64[1] one = {{1}}, int64[1] two = {{2}}, int64[1] three = {{3}},
 int64[1] rest = {{-1}}, int64 i0 = {{0}}, int64 i1 = {{1}}, int64 i2 = {{2}}, int64 i3 = {{3}},
 float half = {{0.5}}, int64[2] sides = {{2, 3}}, float[1] unit = {{1}}>
{{ {body} }}"""

# Each computes something from the shape of x, of which only the batch is open.
ARITHMETIC = {
    "shuffle of groups by scalar sizes": """
        s = Shape (x) n0 = Gather (s, i0) c0 = Gather (s, i1) h0 = Gather (s, i2)
        n = Unsqueeze <axes = [0]> (n0) h = Unsqueeze <axes = [0]> (h0) g = Div (c0, i2)
        c = Unsqueeze <axes = [0]> (g) t = Concat <axis = 0> (n, two, c, h, rest)
        v = Reshape (x, t) p = Transpose <perm = [0, 2, 1, 3, 4]> (v)
        y = Reshape (p, s)""",
    "rows of all images in one axis": """
        s = Shape (x) n = Slice (s, zero, one) f = Mul (n, three) k = Mul (f, two)
        c = Div (k, three)
        t = Concat <axis = 0> (c, rest, three, two) y = Reshape (x, t)""",
    "half of the channels": """
        s = Shape (x) c = Slice (s, one, two) m = Div (c, two)
        y = Slice (x, zero, m, one)""",
    "padding computed in floats": """
        s = Shape (x) h = Gather (s, i2) f = Cast <to = 1> (h) q = Mul (f, half) r = Ceil (q)
        p = Cast <to = 7> (r) u = Unsqueeze <axes = [0]> (p)
        t = Concat <axis = 0> (zero, zero, u, zero, zero, zero, one, zero) y = Pad (x, t)""",
    "an If on a size": """
        s = Shape (x) c = Gather (s, i1) b = Equal (c, i1)
        y = If (b) <then_branch = t () => (float[a, b, c, d] p) { p = Neg (x) },
                    else_branch = e () => (float[a, b, c, d] q) { q = Relu (x) }>""",
    "expanding by Where": """
        s = Shape (x) e = Equal (s, s) a = ReduceMean <axes = [2, 3]> (x)
        m = Equal (s, rest) o = ConstantOfShape <value = int64[1] {1}> (four) t = Where (m, o, s)
        w = Expand (a, t) y = Add (w, x)""",
    "splitting by computed sizes": """
        s = Shape (x) c = Gather (s, i1) d = Sub (c, i1) u = Unsqueeze <axes = [0]> (d)
        t = Unsqueeze <axes = [0]> (i1) y = Slice (x, t, u, one)""",
}


def model_of(parse: Parse, body: str, opset: int = 11) -> ir.Model:
    text = HEADER.format(opset=opset, body=body).replace(
        "float half", "int64[1] four = {4}, float half"
    )
    return ir.from_proto(parse(text))


@pytest.mark.parametrize("kind", ARITHMETIC)
def test_arithmetic_on_sizes_is_constant_but_for_the_batch(text_model: Parse, kind: str) -> None:
    model = model_of(text_model, ARITHMETIC[kind])
    plain = prepared(model)
    arithmetic = {"Shape", "Gather", "Concat", "Where", "If", "Cast", "Equal", "Unsqueeze"}
    assert not [node.op_type for node in plain.graph if node.op_type in arithmetic]
    (output,) = plain.graph.outputs
    assert output.shape is not None
    for batch in (1, 3):
        x = np.random.default_rng(batch).normal(size=(batch, 4, 6, 10)).astype(np.float32)
        (found,), (expected,) = opened(plain)(x=x).values(), opened(model)(x=x).values()
        np.testing.assert_array_equal(found, expected)
        assert list(output.shape[1:]) == list(found.shape[1:])


@pytest.mark.parametrize(
    "body",
    [
        """s = Shape (x) n = Gather (s, i0) b = Equal (n, i3)
        y = If (b) <then_branch = t () => (float[a, b, c, d] p) { p = Neg (x) },
                    else_branch = e () => (float[a, b, c, d] q) { q = Relu (x) }>""",
        "s = Shape (x) n = Slice (s, zero, one) m = Min (n, two) y = Slice (x, zero, m, zero)",
    ],
)
def test_what_depends_on_the_batch_stays_computed(text_model: Parse, body: str) -> None:
    model = model_of(text_model, body, opset=13)
    plain = prepared(model)
    for batch in (1, 3):
        x = np.random.default_rng(batch).normal(size=(batch, 4, 6, 10)).astype(np.float32)
        (found,), (expected,) = opened(plain)(x=x).values(), opened(model)(x=x).values()
        np.testing.assert_array_equal(found, expected)


numbers = st.integers(-30, 30)
linear = st.builds(Extent, numbers, numbers)
FUNCTIONS: dict[str, Callable[[int, int], float]] = {
    "added": lambda a, b: a + b,
    "subtracted": lambda a, b: a - b,
    "multiplied": lambda a, b: a * b,
    "quotient": lambda a, b: int(a / b),
    "divided": lambda a, b: a / b,
    "remainder": lambda a, b: a - b * int(a / b),
    "is_less": lambda a, b: a < b,
    "is_equal": lambda a, b: a == b,
    "larger": max,
    "smaller": min,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@given(a=linear, b=linear)
def test_extents_compute_as_numbers_do_for_every_batch(name: str, a: Extent, b: Extent) -> None:
    found = getattr(extents, name)(a, b)
    for batch in range(1, 41) if found is not None else ():
        left, right = (one.slope * batch + one.offset for one in (a, b))
        if right or name not in ("quotient", "divided", "remainder"):
            expected = FUNCTIONS[name](int(left), int(right))
            assert found.slope * batch + found.offset == pytest.approx(float(expected), abs=1e-9)


class Standardised(torch.nn.Module):
    """Convolutions whose weights are normalized in the graph, three ways."""

    def __init__(self, kind: str, width: int) -> None:
        super().__init__()
        self.kind = kind
        self.weight = torch.nn.Parameter(torch.randn(width, 3, 3, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        w = self.weight
        if self.kind == "batch norm":
            flat = w.reshape(1, len(w), -1)
            w = torch.nn.functional.batch_norm(flat, None, None, training=True).reshape_as(w)
        elif self.kind == "variance":
            variance, mean = torch.var_mean(w, dim=[1, 2, 3], keepdim=True)
            w = (w - mean) / (variance + 1e-5).sqrt()
        else:
            w = w / w.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        y: torch.Tensor = torch.nn.functional.conv2d(x, w).mean((2, 3))
        return y


@pytest.mark.parametrize("width", [5, 40_000])
@pytest.mark.parametrize("kind", ["batch norm", "variance", "norm"])
@pytest.mark.parametrize("dynamo", [False, True])
def test_weights_that_are_computed_become_constants_whatever_their_size(
    torch_model: Callable[..., ir.Model], kind: str, width: int, dynamo: bool
) -> None:
    torch.manual_seed(0)
    model = torch_model(Standardised(kind, width), 8, dynamo=dynamo)
    plain = prepared(model)
    (convolution,) = (node for node in plain.graph if node.op_type == "Conv")
    assert convolution.inputs[1] is not None
    assert convolution.inputs[1].const_value is not None
    x = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    (found,), (expected,) = opened(plain)(image=x).values(), opened(model)(image=x).values()
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())


def test_products_that_would_take_long_are_left_alone(text_model: Parse) -> None:
    model = text_model("""
        <ir_version: 8, opset_import: ["" : 13]>
        g (float[N, 1] x) => (float[N, 1] y) <float[1, 4096] a, float[4096, 1] b>
        { big = MatMul (b, a) c = MatMul (big, big) d = MatMul (c, c) e = MatMul (d, big)
          m = ReduceMax <keepdims = 0> (e) y = Add (x, m) }""")
    start = time.process_time()
    prepared(ir.from_proto(model))
    assert time.process_time() - start < 10  # the products take minutes


GEOMETRIES = [(13, 2, 2, 1), (6, 3, 2, 0), (6, 3, 2, 1), (7, 3, 3, 1), (16, 1, 3, 0)]
POOLS = [("MaxPool", 0), ("AveragePool", 0), ("AveragePool", 1)]


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("opset", [11, 19, 22])
def test_pools_that_round_up_get_the_padding_that_it_stands_for(
    text_model: Parse, opset: int, pool: tuple[str, int], geometry: tuple[int, int, int, int]
) -> None:
    (kind, counted), (size, kernel, stride, pad) = pool, geometry
    count = f", count_include_pad = {counted}" if kind == "AveragePool" else ""
    model = ir.from_proto(
        text_model(f"""
        <ir_version: 8, opset_import: ["" : {opset}]>
        g (float[N, 2, {size}, {size}] x) => (float[N, 2, H, W] y)
        {{ a = {kind} <kernel_shape = [{kernel}, {kernel}], strides = [{stride}, {stride}],
             pads = [{pad}, {pad}, {pad}, {pad}], ceil_mode = 1{count}> (x) y = Neg (a) }}""")
    )
    plain = prepared(model)
    x = np.random.default_rng(0).normal(size=(2, 2, size, size)).astype(np.float32)
    (found,) = opened(plain)(x=x).values()
    functional = torch.nn.functional
    pooled = (
        functional.max_pool2d(torch.tensor(x), kernel, stride, pad, ceil_mode=True)
        if kind == "MaxPool"
        else functional.avg_pool2d(
            torch.tensor(x), kernel, stride, pad, ceil_mode=True, count_include_pad=bool(counted)
        )
    )
    np.testing.assert_allclose(found, -pooled.numpy(), atol=1e-6)  # float32 of at most 9 terms
    assert not any(node.attributes.get_int("ceil_mode", 0) for node in plain.graph)
    (output,) = plain.graph.outputs
    assert output.shape is not None
    assert list(output.shape) == ["N", *found.shape[1:]]
