"""What a small file may cost: constants that explode are left alone, by us and by ONNX Runtime."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest

from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.graphs.canonical import canonicalize
from heatproof.graphs.files.loading import load_model
from heatproof.graphs.inspection.inspecting import inspect
from heatproof.graphs.masking import layer_masked, masking_blockers
from heatproof.graphs.operators.emitter import Emitter
from heatproof.graphs.preparation import prepared
from heatproof.graphs.runtime.backends.settings import SessionSettings
from heatproof.graphs.runtime.cancellation import Cancellation
from heatproof.graphs.runtime.folding import folds_within_budget
from heatproof.graphs.runtime.sessions import open_session

Store = Callable[[onnx.ModelProto | bytes], Path]

PROMPT = 20
"""Seconds that nothing here takes, though the machine be busy; each case took minutes or more."""

HEADER = '<ir_version: 10, opset_import: ["" : 18]>'
SIGNATURE = f"""{HEADER} g (float[N, 3, 8, 8] image) => (float[N, 3] scores)
<int64[1] one = {{1}}, int64[1] billion = {{1000000000}}, float[1] unit = {{1}},
 int64[2] square = {{16000, 16000}}, int64[2] small = {{4000, 4000}}, int64[1] many = {{200000000}},
 int64[4] pixels = {{1, 64, 1500, 1500}}, int64[4] taps = {{64, 64, 31, 31}},
 float zero = {{0}}, float step = {{1}}, float end = {{250000000}}, int64[1] few = {{1000}},
 int64 trips = {{4611686018427387904}}, bool true = {{1}}>"""
TAIL = """
 added = Add (image, bomb) pooled = GlobalAveragePool (added) scores = Flatten (pooled)"""

BOMBS = {
    "one product": "k = ConstantOfShape (square) m = MatMul (k, k)",
    "many products": "k = ConstantOfShape (small) m0 = MatMul (k, k) "
    + " ".join(f"m{i + 1} = MatMul (m{i}, m{i})" for i in range(20))
    + " m = Identity (m20)",
    "an expansion": "m = Expand (unit, billion)",
    "many expansions": " ".join(f"k{i} = Expand (unit, many) e{i} = Exp (k{i})" for i in range(9))
    + " m = Max (e0, e1, e2, e3, e4, e5, e6, e7, e8)",
    "copies": "k = Expand (unit, many) m = Tile (k, few)",
    "a range": "m = Range (zero, end, step)",
    "a convolution": "k = ConstantOfShape (pixels) w = ConstantOfShape (taps) m = Conv (k, w)",
    "a sum": 'k = ConstantOfShape (square) m = Einsum <equation = "ab,bc,cd->ad"> (k, k, k)',
    "a sorting": "k = ConstantOfShape (many) m, i = TopK (k, few)",
    "a size that is computed": """k = ConstantOfShape (small) z = NonZero (k) s = Shape (z)
        b = Add (s, many) m = ConstantOfShape (b)""",
    "a loop": """i, m = Loop (trips, true, unit) <body = b (int64 n, bool c, float[1] x) =>
        (bool d, float[1] y, float[1] s) { d = Identity (c) y = Abs (x) s = Abs (x) }>""",
    "a branch": """largest = ReduceMax <keepdims = 0> (image) flag = Greater (largest, zero)
        m = If (flag) <then_branch = a () => (t) { k = ConstantOfShape (square)
        t = MatMul (k, k) }, else_branch = b () => (e) { e = Identity (unit) }>""",
}


def bomb(name: str) -> onnx.ModelProto:
    body = f"{{ {BOMBS[name]} bomb = ReduceMax <keepdims = 0> (m) {TAIL} }}"
    return onnx.parser.parse_model(SIGNATURE + body)


@pytest.fixture(autouse=True)
def prompt() -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < PROMPT


@pytest.mark.parametrize("name", BOMBS)
def test_constants_that_explode_are_left_alone(store: Store, name: str) -> None:
    model = load_model(store(bomb(name)))
    assert inspect(model).image_input == "image"
    plain = prepared(model)
    if name != "a loop":  # which ONNX Runtime never folds
        assert not folds_within_budget(plain)
    open_session(plain, SessionSettings())


@pytest.mark.parametrize("name", BOMBS)
def test_constants_that_explode_are_not_run_to_compare_rows(store: Store, name: str) -> None:
    model = canonicalize(load_model(store(bomb(name))), PRESETS["unit"])

    assert model.classes == 3


@pytest.mark.parametrize("name", ["a product", "an expansion"])
def test_what_is_left_alone_still_runs(store: Store, name: str) -> None:
    texts = {
        "a product": "k = ConstantOfShape <value = float[1] {2.0}> (fair) m = MatMul (k, k)",
        "an expansion": "w = Expand (unit, wide) v = Exp (w) m = Mul (v, v)",
    }
    sizes = "<int64[2] fair = {2700, 2700}, int64[1] wide = {70000000},"
    text = SIGNATURE.replace("<int64[1] one", f"{sizes} int64[1] one")
    body = f"{{ {texts[name]} bomb = ReduceMax <keepdims = 0> (m) {TAIL} }}"
    model = prepared(load_model(store(onnx.parser.parse_model(text + body))))
    assert not folds_within_budget(model)
    session = open_session(model, SessionSettings())
    (scores,) = session.run(
        {"image": np.zeros((1, 3, 8, 8), np.float32)}, ["scores"], Cancellation(), 1
    )
    expected = 10800 if name == "a product" else np.exp(2)
    np.testing.assert_allclose(scores, np.full((1, 3), expected), rtol=1e-6)


def test_affordable_constants_are_folded_by_the_session(
    tiny: onnx.ModelProto, store: Store
) -> None:
    assert folds_within_budget(prepared(load_model(store(tiny))))
    text = (
        SIGNATURE + f"{{ m = Range (zero, step, step) bomb = ReduceMax <keepdims = 0> (m) {TAIL} }}"
    )
    assert folds_within_budget(load_model(store(onnx.parser.parse_model(text))))


def test_shapes_that_the_file_declares_are_not_believed(store: Store) -> None:
    model = bomb("a size that is computed")
    for name in ("b", "m", "s", "z"):
        info = model.graph.value_info.add(name=name)
        info.type.tensor_type.elem_type = onnx.TensorProto.FLOAT if name == "m" else 7
        info.type.tensor_type.shape.dim.add(dim_value=1)
    assert not folds_within_budget(load_model(store(model)))


def doubled(op: str, times: int, tail: str) -> str:
    chain = " ".join(f"k{i + 1} = {op} (k{i}, k{i})" for i in range(times)).replace("k0", "image")
    return (
        f"{HEADER} g (float[N, 3, 8, 8] image) => (float[N, 3] scores) "
        f"<int64[1] one = {{1}}, int64[1] channels = {{1}}> {{ {chain} {tail} }}"
    )


def test_concatenations_that_double_are_no_reason_to_double_operands(store: Store) -> None:
    tail = "m = ReduceMax <keepdims = 1> (k30, channels) s = Add (image, m) "
    text = doubled("Concat <axis = 1>", 30, tail + "p = GlobalAveragePool (s) scores = Flatten (p)")
    model = load_model(store(onnx.parser.parse_model(text)))
    facts = inspect(model)
    assert not facts.layer_masking.supported
    assert "50000 parts" in facts.layer_masking.blockers[0].reason


def test_vectors_that_double_are_not_followed(store: Store) -> None:
    chain = " ".join(f"v{i + 1} = Concat <axis = 0> (v{i}, v{i})" for i in range(40))
    text = (
        SIGNATURE
        + f"""{{ {chain.replace("v0", "one")} l = ReduceMax <keepdims = 0> (v40)
        bomb = Cast <to = 1> (l) {TAIL} }}"""
    )
    model = load_model(store(onnx.parser.parse_model(text)))
    inspect(model)
    open_session(prepared(model), SessionSettings())


def test_sums_that_double_are_counted_once(store: Store) -> None:
    tail = "p = GlobalAveragePool (k60) scores = Flatten (p)"
    model = load_model(store(onnx.parser.parse_model(doubled("Add", 60, tail))))
    facts = inspect(model)
    assert facts.layer_masking.supported
    assert facts.gradients.supported


def test_nested_concatenations_vote_as_one(store: Store) -> None:
    text = """ g (float[N, 3, 8, 8] image) => (float[N, 9] scores) {
        a = Concat <axis = 1> (image, image) b = Concat <axis = 1> (a, image)
        p = GlobalAveragePool (b) scores = Flatten (p) }"""
    model = load_model(store(onnx.parser.parse_model(HEADER + text)))
    assert masking_blockers(model) == ()
    inner = [node for node in layer_masked(model).graph if node.op_type == "Concat"]
    assert max(len(node.inputs) for node in inner) == 3


@pytest.mark.parametrize(
    "node",
    [
        'm = Resize <mode = "linear"> (image, , far)',
        'm = Resize <mode = "linear"> (image, , wide)',
        "m = MaxPool <kernel_shape = [99999, 99999], pads = [49999, 49999, 49999, 49999]> (image)",
    ],
)
def test_windows_and_resizings_take_no_more_than_their_result(store: Store, node: str) -> None:
    text = f"""{HEADER} g (float[N, 3, 8, 8] image) => (float[N, 3] scores)
        <float[4] far = {{1, 1, 50000, 50000}}, float[4] wide = {{1, 1, 1, 100000}}>
        {{ {node} p = GlobalAveragePool (m) scores = Flatten (p) }}"""
    facts = inspect(load_model(store(onnx.parser.parse_model(text))))
    refused = any("too far" in blocker.reason for blocker in facts.layer_masking.blockers)
    assert refused == node.startswith("m = Resize")


@pytest.mark.parametrize("node", ["AveragePool", "LpPool"])
def test_gradients_of_windows_hold_no_more_than_a_kernel_may(store: Store, node: str) -> None:
    text = f"""{HEADER} g (float[N, 3, 8, 8] image) => (float[N, 3] scores)
        {{ m = {node} <kernel_shape = [99999, 99999], pads = [49999, 49999, 49999, 49999]> (image)
           p = GlobalAveragePool (m) scores = Flatten (p) }}"""
    facts = inspect(load_model(store(onnx.parser.parse_model(text))))
    assert "29999400003 cells" in facts.gradients.blockers[0].reason


def test_many_sizes_of_parts_are_read_when_a_session_opens(store: Store) -> None:
    parts = ", ".join(f"p{index}" for index in range(192))
    sizes = ", ".join(["1"] * 192)
    text = f"""{HEADER} g (float[N, 3, 8, 8] image) => (float[N, 192] scores)
        <int64[192] sizes = {{{sizes}}}>
        {{ f = Flatten (image) {parts} = Split <axis = 1> (f, sizes)
           scores = Concat <axis = 1> ({parts}) }}"""
    model = load_model(store(onnx.parser.parse_model(text)))
    session = open_session(model, SessionSettings())
    image = np.random.default_rng(0).random((1, 3, 8, 8), np.float32)
    (found,) = session.run({"image": image}, ["scores"], Cancellation(), len(image))
    np.testing.assert_array_equal(found, image.reshape(1, -1))


def test_paddings_beyond_all_masks_are_refused(store: Store) -> None:
    text = f"""{HEADER} g (float[N, 3, 8, 8] image) => (float[N, 3] scores)
        <int64[8] wide = {{0, 0, 40000, 40000, 0, 0, 40000, 40000}}>
        {{ m = Pad (image, wide) p = GlobalAveragePool (m) scores = Flatten (p) }}"""
    facts = inspect(load_model(store(onnx.parser.parse_model(text))))
    assert "80008 x 80008 cells" in facts.layer_masking.blockers[0].reason


def test_names_of_new_tensors_take_the_time_of_their_number() -> None:
    model = ir.from_proto(onnx.parser.parse_model(
        f"{HEADER} g (float[N, 3] heatproof_constant_7) => (float[N, 3] y) "
        "{ y = Relu (heatproof_constant_7) }"
    ))  # fmt: skip
    emitter = Emitter(model.graph)
    count = 20_000  # quadratic would be two hundred million steps
    names = {emitter.constant_of_its_own(np.zeros(1)).name for _ in range(count)}
    assert len(names) == count
    assert "heatproof_constant_7" not in names
