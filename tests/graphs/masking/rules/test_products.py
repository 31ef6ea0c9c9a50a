"""Softmax, matrix products and what of attention is sound, against NumPy."""

import numpy as np
import pytest

from heatproof.evaluators.errors import UnsupportedOperatorError
from heatproof.graphs.masking import MaskingOptions, Mode, layer_masked, masking_blockers
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

CELLS = SIZE[0] * SIZE[1]
RNG = np.random.default_rng(5)
DENSE = RNG.standard_normal((CHANNELS, 6)).astype(np.float32)
TOKENS = RNG.standard_normal((CELLS, CELLS)).astype(np.float32)
QUERY = RNG.standard_normal((1, CHANNELS, 1, 1)).astype(np.float32)
TO_CELLS = np.array([0, CHANNELS, CELLS], np.int64)


def close(got: Array, expected: Array) -> None:
    """Single precision over sums of up to 35 terms."""
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def softmax(x: Array, axes: tuple[int, ...]) -> Array:
    shifted = np.exp(x - x.max(axis=axes, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=axes, keepdims=True))


def cells_of(array: Array) -> Array:
    return array.reshape(*array.shape[:2], -1)


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("opset", [11, 13, 17])
@pytest.mark.parametrize("op_type", ["Softmax", "LogSoftmax", "Hardmax"])
def test_softmax_over_space_weighs_visible_cells_alone(
    op_type: str, opset: int, mode: Mode
) -> None:
    nodes = f"m = Reshape (x, s) y = {op_type} <axis = 2> (m)"
    feeds = image_and_mask()
    mask = feeds["mask"].reshape(3, 1, -1)
    x = np.where(mask == 1, cells_of(seen(feeds)), -np.inf)
    weights = softmax(x, (2,))
    expected = {
        "Softmax": weights,
        "LogSoftmax": np.log(np.where(mask == 1, weights, 1)),
        "Hardmax": (x == x.max(axis=2, keepdims=True)).astype(float),
    }[op_type]
    got = masked_run(graph(nodes, {"s": TO_CELLS}, opset=opset), feeds, mode=mode)["y"]
    close(got, expected)


@pytest.mark.parametrize("op_type", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize(
    ("nodes", "opset"),
    [
        ("y = {} <axis = 1> (x)", 13),
        (("t = Transpose <perm = [0, 2, 3, 1]> (x) "
        "z = {} <axis = 3> (t) y = Transpose <perm = [0, 3, 1, 2]> (z)"), 11),
    ],
)  # fmt: skip
def test_softmax_over_channels_keeps_the_mask(nodes: str, opset: int, op_type: str) -> None:
    feeds = image_and_mask()
    x = seen(feeds)
    expected = {
        "Softmax": softmax(x, (1,)),
        "LogSoftmax": np.log(softmax(x, (1,))),
        "Hardmax": (x == x.max(axis=1, keepdims=True)).astype(float),
    }[op_type]
    model = graph(nodes.format(op_type), opset=opset)
    close(masked_run(model, feeds)["y"], expected * feeds["mask"])
    Laws(model).hidden_cells_are_irrelevant()


def test_before_opset_13_softmax_covers_all_axes_from_its_own_on() -> None:
    feeds = image_and_mask()
    x = np.where(feeds["mask"] == 1, seen(feeds), -np.inf)
    got = masked_run(graph("y = Softmax <axis = 1> (x)", opset=11), feeds)["y"]
    close(got, softmax(x, (1, 2, 3)))


POOLING: tuple[str, dict[str, Array]] = (
    (
        "l = Conv (x, query) f = Reshape (l, one_row) w = Softmax <axis = 2> (f) "
        "u = Unsqueeze (w, last) v = Reshape (x, values) y = MatMul (v, u)"
    ),
    {
        "query": QUERY,
        "one_row": np.array([0, 1, CELLS], np.int64),
        "values": np.array([0, 1, CHANNELS, CELLS], np.int64),
        "last": np.array([3], np.int64),
    },
)
SUMMED = (
    (
        "l = Conv (x, query) f = Reshape (l, one_row) w = Softmax <axis = 2> (f) "
        "u = Reshape (w, map) p = Mul (x, u) y = ReduceSum <keepdims = 0> (p, space)"
    ),
    {
        "query": QUERY,
        "one_row": np.array([0, 1, CELLS], np.int64),
        "map": np.array([0, 1, *SIZE], np.int64),
        "space": np.array([2, 3], np.int64),
    },
)
SUMMED_BY_EINSUM = (
    (
        "l = Conv (x, query) f = Reshape (l, flat) w = Softmax <axis = 1> (f) "
        'v = Reshape (x, values) y = Einsum <equation = "ncl,nl->nc"> (v, w)'
    ),
    {
        "query": QUERY,
        "flat": np.array([0, CELLS], np.int64),
        "values": TO_CELLS,
    },
)


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize(
    "form", [POOLING, SUMMED, SUMMED_BY_EINSUM], ids=["MatMul", "sum", "einsum"]
)
def test_attention_pooling_is_a_weighted_mean_of_visible_cells(
    form: tuple[str, dict[str, Array]], mode: Mode
) -> None:
    feeds = image_and_mask()
    mask, x = feeds["mask"].reshape(3, 1, -1), cells_of(seen(feeds))
    logits = np.einsum("ncl,c->nl", x, QUERY[0, :, 0, 0])[:, None]
    weights = softmax(np.where(mask == 1, logits, -np.inf), (2,))
    expected = (x * weights).sum(axis=2)
    got = masked_run(graph(*form), feeds, mode=mode)
    close(got["y"].reshape(expected.shape), expected)
    np.testing.assert_allclose(got["mask_coverage"], mask.mean(axis=(1, 2)), rtol=1e-5)
    Laws(graph(*form), MaskingOptions(mode=mode), tolerance=1e-5).check()


CONTEXT: tuple[str, dict[str, Array]] = (
    ("l = Conv (x, query) f = Reshape (l, one_row) w = Softmax <axis = 2> (f) "
    "u = Unsqueeze (w, last) v = Reshape (x, values) p = MatMul (v, u) c = Reshape (p, gate) "
    "d = Conv <pads = [1, 1, 1, 1]> (x, kernel) a = Add (d, c) r = Relu (a) "
    "y = GlobalAveragePool (r)"),
    {**POOLING[1], "gate": np.array([0, CHANNELS, 1, 1], np.int64),
     "kernel": RNG.standard_normal((CHANNELS, CHANNELS, 3, 3)).astype(np.float32)},
)  # fmt: skip


@pytest.mark.parametrize("mode", list(Mode))
def test_a_global_context_block_obeys_the_laws(mode: Mode) -> None:
    Laws(graph(*CONTEXT), MaskingOptions(mode=mode), tolerance=1e-5).check()


LINEAR = {
    "channels last": (
        (
            "t = Transpose <perm = [0, 2, 3, 1]> (x) p = MatMul (t, w) "
            "y = Transpose <perm = [0, 3, 1, 2]> (p)"
        ),
        {"w": DENSE},
    ),
    "weights first": (
        "m = Reshape (x, s) p = MatMul (w, m) y = Reshape (p, back)",
        {"w": DENSE.T.copy(), "s": TO_CELLS, "back": np.array([0, 6, *SIZE], np.int64)},
    ),
    "einsum": ('y = Einsum <equation = "nchw, cd -> ndhw"> (x, w)', {"w": DENSE}),
    "stacked weights": (
        "m = Reshape (x, s) p = MatMul (w, m) y = Reshape (p, back)",
        {"w": DENSE.T[None].copy(), "s": TO_CELLS, "back": np.array([0, 6, *SIZE], np.int64)},
    ),
}


@pytest.mark.parametrize("form", LINEAR.values(), ids=LINEAR)
def test_products_over_channels_keep_the_mask(form: tuple[str, dict[str, Array]]) -> None:
    feeds = image_and_mask()
    expected = np.einsum("nchw,cd->ndhw", seen(feeds), DENSE) * feeds["mask"]
    close(masked_run(graph(*form), feeds)["y"], expected)
    Laws(graph(*form)).hidden_cells_are_irrelevant()


def test_a_product_with_a_vector_drops_the_channels() -> None:
    nodes = "t = Transpose <perm = [0, 2, 3, 1]> (x) y = MatMul (t, w)"
    feeds = image_and_mask()
    expected = np.einsum("nchw,c->nhw", seen(feeds), DENSE[:, 0]) * feeds["mask"][:, 0]
    got = masked_run(graph(nodes, {"w": DENSE[:, 0].copy()}), feeds)["y"]
    close(got, expected)


def test_a_gate_may_be_a_matrix_over_channels() -> None:
    nodes = (
        "g = GlobalAveragePool (x) f = Reshape (g, square) m = Reshape (x, pairs) "
        "p = MatMul (f, m) y = Reshape (p, back)"
    )
    weights: dict[str, Array] = {
        "square": np.array([0, 4, 2], np.int64),
        "pairs": np.array([0, 2, 4 * CELLS], np.int64),
        "back": np.array([0, 16, *SIZE], np.int64),
    }
    with pytest.raises(UnsupportedOperatorError, match="mixes spatial"):
        layer_masked(graph(nodes, weights))
    nodes = (
        "h = Reshape (x, two) g = GlobalAveragePool (x) f = Reshape (g, square) "
        "p = MatMul (f, h) y = Reshape (p, back)"
    )
    weights = {
        "two": np.array([0, CHANNELS, CELLS], np.int64),
        "square": np.array([0, 1, CHANNELS], np.int64),
        "back": np.array([0, 1, *SIZE], np.int64),
    }
    feeds = image_and_mask()
    x, mask = seen(feeds), feeds["mask"]
    mean = (x * mask).sum(axis=(2, 3)) / mask.sum(axis=(2, 3))
    expected = np.einsum("nc,nchw->nhw", mean, x)[:, None] * mask
    close(masked_run(graph(nodes, weights), feeds)["y"], expected)


@pytest.mark.parametrize("form", ["MatMul (f, w)", "Gemm (f, w)", "Gemm <transB = 1> (f, v)"])
def test_a_dense_layer_on_one_flattened_channel_sees_zeros(form: str) -> None:
    dense = RNG.standard_normal((CELLS, 4)).astype(np.float32)
    name = "v" if "v)" in form else "w"
    weights: dict[str, Array] = {
        "query": QUERY,
        "flat": np.array([0, CELLS], np.int64),
        name: dense.T.copy() if name == "v" else dense,
    }
    nodes = f"l = Conv (x, query) f = Reshape (l, flat) y = {form}"
    feeds = image_and_mask()
    row = np.einsum("nchw,c->nhw", seen(feeds) * feeds["mask"], QUERY[0, :, 0, 0])
    got = masked_run(graph(nodes, weights), feeds)["y"]
    close(got, row.reshape(3, -1) @ dense)


REFUSED = {
    "tokens": (
        "m = Reshape (x, s) y = MatMul (m, w)",
        {"s": TO_CELLS, "w": TOKENS},
        "token mixing",
    ),
    "tokens first": (
        "m = Reshape (x, s) t = Transpose <perm = [0, 2, 1]> (m) y = MatMul (w, t)",
        {"s": TO_CELLS, "w": TOKENS},
        "token mixing",
    ),
    "columns": ("y = MatMul (x, w)", {"w": TOKENS[: SIZE[1], :3].copy()}, "token mixing"),
    "tokens by einsum": (
        'm = Reshape (x, s) y = Einsum <equation = "ncl,lk->nck"> (m, w)',
        {"s": TO_CELLS, "w": TOKENS},
        "token mixing",
    ),
    "query and key": (
        "m = Reshape (x, s) t = Transpose <perm = [0, 2, 1]> (m) q = MatMul (t, m) y = Relu (q)",
        {"s": TO_CELLS},
        "query-key attention",
    ),
    "covariance": (
        "m = Reshape (x, s) t = Transpose <perm = [0, 2, 1]> (m) q = MatMul (m, t) y = Relu (q)",
        {"s": TO_CELLS},
        "cross-covariance attention",
    ),
    "images": ('y = Einsum <equation = "nchw,cd->dnhw"> (x, w)', {"w": DENSE}, "images of a batch"),
    "softmax over images": ("y = Softmax <axis = 0> (x)", {}, "images of a batch"),
    "ellipsis": ('y = Einsum <equation = "nc...->n..."> (x)', {}, "ellipsis"),
}


@pytest.mark.parametrize(("nodes", "weights", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_mixes_places_is_refused_by_name(
    nodes: str, weights: dict[str, Array], reason: str
) -> None:
    (blocker,) = masking_blockers(graph(nodes, weights))
    assert reason in blocker.reason
