"""Operators that read their own cell alone: they keep the mask, whatever hidden cells hold."""

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NoKernelError

from heatproof.evaluators.errors import UnsupportedOperatorError
from heatproof.graphs.masking import MaskingOptions, layer_masked
from heatproof.graphs.masking.rewriting import rewritten
from heatproof.graphs.masking.rules.pointwise import finite_function, function_with_poles
from heatproof.graphs.masking.states import Spatial
from heatproof.graphs.masking.table import RULES
from tests.graphs.masking.laws import Laws
from tests.graphs.masking.single import (
    CHANNELS,
    SIZE,
    Array,
    graph,
    image_and_mask,
    masked_run,
    seen,
)

FUNCTIONS = [
    operator for operator in RULES if RULES.of(operator) in (finite_function, function_with_poles)
]
NOT_REAL = {"Not", "BitwiseNot", "CastLike"}  # tested below
ATTRIBUTES = {"Cast": " <to = 1>", "Celu": " <alpha = 0.5>", "LeakyRelu": " <alpha = 0.2>"}
INNER = {"Acosh": "a = Abs (x) i = Exp (a)", "Log": "i = Exp (x)", "Sqrt": "i = Abs (x)"}
"""What brings the numbers into the function's domain."""

LATEST = {
    name: max(operator.since_version for operator in FUNCTIONS if operator.op_type == name)
    for name in sorted({operator.op_type for operator in FUNCTIONS} - NOT_REAL)
}


def function_of(op_type: str, opset: int) -> Any:
    """A graph of one function, on numbers of its domain, and its value by ONNX's own reading."""
    inner = INNER.get(op_type, "i = Sigmoid (x)" if op_type[0] == "A" else "i = Identity (x)")
    outer = "y = Cast <to = 1> (b)" if op_type.startswith("Is") else "y = Identity (b)"
    return graph(f"{inner} b = {op_type}{ATTRIBUTES.get(op_type, '')} (i) {outer}", opset=opset)


@pytest.mark.parametrize("op_type", LATEST)
def test_functions_of_one_cell_keep_the_mask(op_type: str) -> None:
    model = function_of(op_type, max(LATEST[op_type], 17))
    feeds = image_and_mask()
    reference = ReferenceEvaluator(ir.to_proto(model))
    plain = np.asarray(reference.run(["y"], {"image": feeds["image"]})).squeeze(0)
    try:
        got = masked_run(model, feeds)["y"]
    except NoKernelError:
        pytest.skip("ONNX Runtime has no such operator")
    hidden = np.broadcast_to(feeds["mask"] == 0, plain.shape)
    np.testing.assert_array_equal(got[hidden], 0)
    np.testing.assert_allclose(got[~hidden], plain[~hidden], rtol=1e-4, atol=1e-5)
    Laws(model, images=feeds["image"], masks=feeds["mask"]).hidden_cells_are_irrelevant()


BINARY = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide, "Max": np.maximum,
    "Min": np.minimum, "Sum": np.add, "Mean": lambda a, b: (a + b) / 2, "Pow": np.power,
    "PRelu": lambda a, b: np.where(a < 0, a * b, a),
}  # fmt: skip
TWO_MASKS = "a = Abs (x) e = MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (a) d = Exp (e)"


def dilated(feeds: dict[str, Array]) -> tuple[Array, Array]:
    """Values and mask behind a 3 x 3 pool of |x|, and exponential."""

    def pooled(image: Array) -> Array:
        padded = np.pad(image, [(0, 0), (0, 0), (1, 1), (1, 1)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
        return np.asarray(windows.max(axis=(-1, -2)))

    return np.exp(pooled(abs(seen(feeds)) * feeds["mask"])), pooled(feeds["mask"])


@pytest.mark.parametrize("order", ["a, d", "d, a"])
@pytest.mark.parametrize("op_type", BINARY)
def test_functions_of_two_cells_intersect_the_masks(op_type: str, order: str) -> None:
    feeds = image_and_mask()
    first, (second, wide) = abs(seen(feeds)), dilated(feeds)
    assert (wide != feeds["mask"]).any()
    operands = (first, second) if order == "a, d" else (second, first)
    if op_type == "Pow":
        operands = tuple(np.minimum(one, 3) for one in operands)  # type: ignore[assignment]
    cut = "three = Constant <value_float = 3.0> () p = Min (a, three) q = Min (d, three) "
    names = order.replace("a", "p").replace("d", "q") if op_type == "Pow" else order
    nodes = f"{TWO_MASKS} {cut if op_type == 'Pow' else ''} y = {op_type} ({names})"
    got = masked_run(graph(nodes), feeds)["y"]
    expected = BINARY[op_type](*operands)  # type: ignore[operator]
    np.testing.assert_allclose(got, np.where(feeds["mask"] == 1, expected, 0), rtol=1e-4, atol=1e-4)
    Laws(graph(nodes), images=feeds["image"], masks=feeds["mask"]).hidden_cells_are_irrelevant()


LOGICAL = {
    "Equal": lambda a, b: a == b, "Greater": lambda a, b: a > b, "Less": lambda a, b: a < b,
    "GreaterOrEqual": lambda a, b: a >= b, "LessOrEqual": lambda a, b: a <= b,
}  # fmt: skip


@pytest.mark.parametrize("op_type", LOGICAL)
def test_comparisons_choose_cell_by_cell(op_type: str) -> None:
    nodes = f"{TWO_MASKS} c = {op_type} (d, a) n = Not (c) y = Where (n, a, d)"
    feeds = image_and_mask()
    a, (d, _) = abs(seen(feeds)), dilated(feeds)
    expected = np.where(LOGICAL[op_type](d, a), d, a) * feeds["mask"]
    np.testing.assert_allclose(masked_run(graph(nodes), feeds)["y"], expected, rtol=1e-4, atol=1e-5)
    Laws(graph(nodes), images=feeds["image"], masks=feeds["mask"]).hidden_cells_are_irrelevant()


@pytest.mark.parametrize("op_type", ["And", "Or", "Xor", "BitwiseAnd", "BitwiseOr", "BitwiseXor"])
def test_logic_is_of_one_cell(op_type: str) -> None:
    kind = 6 if op_type.startswith("Bit") else 9  # int32, bool
    nodes = (
        f"{TWO_MASKS} p = Cast <to = {kind}> (a) q = Cast <to = {kind}> (e) b = {op_type} (p, q) "
        "y = Cast <to = 1> (b)"
    )
    feeds = image_and_mask()
    pooled, _ = dilated(feeds)
    dtype = np.int32 if kind == 6 else np.bool_
    a: Array = abs(seen(feeds)).astype(dtype)
    e: Array = np.log(pooled).astype(dtype)
    functions = {"And": np.bitwise_and, "Or": np.bitwise_or, "Xor": np.bitwise_xor}
    expected = functions[op_type.removeprefix("Bitwise")](a, e)
    got = masked_run(graph(nodes, opset=18), feeds)["y"]
    np.testing.assert_array_equal(got, expected * feeds["mask"])


def state_of(nodes: str, weights: dict[str, Array] | None = None, opset: int = 17) -> Spatial:
    states = rewritten(
        graph(nodes + " u = Relu (y)", weights, opset=opset), MaskingOptions()
    ).states
    state = states["y_unmasked"]  # the graph's output
    assert isinstance(state, Spatial)
    return state


NARROW = "m = ReduceMean <axes = [1]> (x) s = Sqrt (m) "


@pytest.mark.parametrize(
    ("nodes", "finite"),
    [
        ("y = Relu (x)", True),
        ("y = Exp (x)", False),
        ("e = Exp (x) y = Relu (e)", False),
        ("c = Greater (x, two) y = Where (c, x, two)", True),
        ("e = Log (x) c = Greater (x, two) y = Where (c, x, e)", False),
        ("e = Log (x) c = Greater (e, two) y = Where (c, x, two)", True),
        ("n = IsNaN (x) y = Where (n, two, x)", True),
        ("y = Div (x, two)", True),
        ("y = Div (two, x)", False),
        ("y = Div (x, none)", False),
        ("y = Div (x, x)", False),
        ("y = Pow (x, two)", True),
        ("h = Constant <value_float = 0.5> () y = Pow (x, h)", False),
        ("e = Exp (x) y = Pow (e, two)", False),
        (NARROW + "y = Div (x, s)", True),
        (NARROW + "y = Div (s, x)", False),
        (NARROW + "y = Mul (x, s)", True),
        (NARROW + "y = Mul (s, s)", False),
        ("e = Exp (x) y = Mul (x, e)", False),
        ("g = GlobalAveragePool (x) y = Div (x, g)", False),
    ],
)
def test_what_may_be_infinite_is_known(*, nodes: str, finite: bool) -> None:
    numbers = {"two": np.float32(2), "none": np.float32(0)}
    weights = {name: np.array(one) for name, one in numbers.items() if name in nodes}
    assert state_of(nodes, weights).finite is finite


@pytest.mark.parametrize(("inner", "finite"), [("e = Relu (x)", True), ("e = Exp (x)", False)])
def test_channelwise_maps_keep_what_may_be_infinite(*, inner: str, finite: bool) -> None:
    weights = {"s": np.ones(CHANNELS, np.float32)}
    assert state_of(f"{inner} y = BatchNormalization (e, s, s, s, s)", weights).finite is finite


def test_a_truth_of_each_cell_is_false_where_it_is_hidden() -> None:
    feeds = image_and_mask()
    got = masked_run(graph("t = Tanh (x) y = Greater (t, x)"), feeds)["y"]
    np.testing.assert_array_equal(got, (seen(feeds) < 0) & (feeds["mask"] == 1))


def test_narrow_operands_are_hidden_instead_of_wide_ones() -> None:
    nodes = (
        "m = ReduceMean <axes = [1]> (x) c = Sub (x, m) q = Pow (c, two) "
        "v = ReduceMean <axes = [1]> (q) g = Add (v, tiny) s = Sqrt (g) n = Div (c, s) "
        "y = Conv <pads = [1, 1, 1, 1]> (n, w)"
    )
    rng = np.random.default_rng(0)
    weights = {
        "two": np.array(2, np.float32),
        "tiny": np.array(1e-6, np.float32),
        "w": rng.standard_normal((4, CHANNELS, 3, 3)).astype(np.float32),
    }
    model = graph(nodes, weights)
    chosen = [node for node in layer_masked(model).graph if node.op_type == "Where"]
    shapes = [tuple(node.outputs[0].shape or ())[1:] for node in chosen]
    assert shapes == [(3, *SIZE), (1, *SIZE), (4, *SIZE)]  # the entry, the deviation, the output
    Laws(model, tolerance=1e-5).check()


@pytest.mark.parametrize("opset", [9, 15])
@pytest.mark.parametrize("rank", [3, 4])
def test_batch_normalization_is_affine_in_each_channel(rank: int, opset: int) -> None:
    rng = np.random.default_rng(4)
    scale, bias, mean = rng.standard_normal((3, CHANNELS)).astype(np.float32)
    variance = rng.random(CHANNELS).astype(np.float32) + 0.5
    parameters = {"scale": scale, "bias": bias, "mean": mean, "variance": variance}
    dims = [0, CHANNELS, *SIZE] if rank == 4 else [0, CHANNELS, SIZE[0] * SIZE[1]]
    nodes = f"r = Reshape (x, dims) y = BatchNormalization (r, {', '.join(parameters)})"
    feeds = image_and_mask()
    model = graph(nodes, {"dims": np.array(dims, np.int64), **parameters}, opset=opset)
    got = masked_run(model, feeds)["y"]
    scales, biases, means, deviations = (
        one[:, None, None] for one in (scale, bias, mean, np.sqrt(variance + 1e-5))
    )
    expected = ((seen(feeds) - means) / deviations * scales + biases) * feeds["mask"]
    np.testing.assert_allclose(got.reshape(expected.shape), expected, rtol=1e-4, atol=1e-5)
    Laws(model, images=feeds["image"], masks=feeds["mask"]).hidden_cells_are_irrelevant()


@pytest.mark.parametrize("opset", [11, 13])
def test_local_response_normalization_reads_channels(opset: int) -> None:
    model = graph("y = LRN <size = 3, alpha = 0.3, beta = 0.5, bias = 2.0> (x)", opset=opset)
    feeds = image_and_mask()
    x = seen(feeds)
    square = np.pad(x**2, [(0, 0), (1, 1), (0, 0), (0, 0)])
    total = square[:, :-2] + square[:, 1:-1] + square[:, 2:]
    expected = x / np.sqrt(2 + 0.1 * total) * feeds["mask"]
    np.testing.assert_allclose(masked_run(model, feeds)["y"], expected, rtol=1e-4, atol=1e-5)
    Laws(model, images=feeds["image"], masks=feeds["mask"]).hidden_cells_are_irrelevant()


@pytest.mark.parametrize("opset", [11, 13, 18])
def test_parts_of_the_channels_keep_the_mask(opset: int) -> None:
    split = "" if opset == 11 else ", sizes"
    attributes = "axis = 1, split = [3, 5]" if opset == 11 else "axis = 1"
    nodes = f"a, b = Split <{attributes}> (x{split}) y = Concat <axis = 1> (b, a)"
    weights = {"sizes": np.array([3, 5], np.int64)} if split else None
    feeds = image_and_mask()
    expected = np.roll(seen(feeds), 5, axis=1) * feeds["mask"]
    got = masked_run(graph(nodes, weights, opset=opset), feeds)["y"]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_orders_and_running_sums_over_channels_keep_the_mask() -> None:
    nodes = (
        "c = CumSum (x, one) t, i = TopK <axis = 1> (c, three) j = Cast <to = 1> (i) y = Add (t, j)"
    )
    weights = {"one": np.array(1, np.int64), "three": np.array([3], np.int64)}
    feeds = image_and_mask()
    total = seen(feeds).cumsum(axis=1)
    places = np.argsort(-total, axis=1)[:, :3]
    expected = (np.take_along_axis(total, places, axis=1) + places) * feeds["mask"]
    got = masked_run(graph(nodes, weights), feeds)["y"]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "nodes", ["y = CumSum (x, two)", "y, i = TopK <axis = 3> (x, two)", "y, i = TopK (x, two)"]
)
def test_orders_over_space_are_refused(nodes: str) -> None:
    shape = () if "CumSum" in nodes else (1,)
    with pytest.raises(UnsupportedOperatorError, match="by their places"):
        layer_masked(graph(nodes, {"two": np.full(shape, 2, np.int64)}))


TRAINS = {"r": np.array(0.5, np.float32), "t": np.array(True)}


@pytest.mark.parametrize(
    ("nodes", "known"), [("y, m = Dropout (x)", {}), ("y = Dropout (x, r, t)", TRAINS)]
)
def test_dropout_keeps_the_mask_and_is_off(nodes: str, known: dict[str, np.ndarray]) -> None:
    feeds = image_and_mask()
    np.testing.assert_allclose(
        masked_run(graph(nodes, known), feeds)["y"],
        seen(feeds) * feeds["mask"],
        rtol=1e-4,
        atol=1e-5,
    )


def test_a_dropout_that_trains_and_whose_mask_is_read_is_refused() -> None:
    nodes = "d, m = Dropout (x, r, t) q = Cast <to = 1> (m) y = Mul (d, q)"
    with pytest.raises(UnsupportedOperatorError, match="its mask is read"):
        layer_masked(graph(nodes, TRAINS))
