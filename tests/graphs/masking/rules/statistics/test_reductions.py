"""Reductions and global pools against NumPy's masked statistics."""

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from heatproof.evaluators.errors import UnsupportedOperatorError
from heatproof.graphs.masking import GlobalPool, MaskingOptions, Mode, layer_masked
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
ATTRIBUTE_OPSETS = (10, 11, 13)
"""Axes are an attribute; from 18 on an input."""


def reduction(op_type: str, axes: list[int], opset: int, *, keepdims: int = 1) -> Any:
    """A graph of one reduction, with its axes where the opset has them."""
    if opset >= (13 if op_type == "ReduceSum" else 18):
        text = f"y = {op_type} <keepdims = {keepdims}> (x, axes)"
        return graph(text, {"axes": np.array(axes, np.int64)}, opset=opset)
    return graph(f"y = {op_type} <axes = {axes}, keepdims = {keepdims}> (x)", opset=opset)


def visible_cells(feeds: dict[str, Array]) -> np.ma.MaskedArray[Any, Any]:
    x = seen(feeds)
    return np.ma.masked_array(x, np.broadcast_to(feeds["mask"] == 0, x.shape))


STRICT: dict[str, Any] = {
    "ReduceMean": lambda x, axes: x.mean(axes),
    "ReduceSum": lambda x, axes: x.mean(axes) * count(x, axes),
    "ReduceL1": lambda x, axes: abs(x).mean(axes) * count(x, axes),
    "ReduceL2": lambda x, axes: np.sqrt((x**2).mean(axes) * count(x, axes)),
    "ReduceSumSquare": lambda x, axes: (x**2).mean(axes) * count(x, axes),
    "ReduceMax": lambda x, axes: x.max(axes),
    "ReduceMin": lambda x, axes: x.min(axes),
    "ReduceLogSumExp": lambda x, axes: np.log(np.exp(x).mean(axes) * count(x, axes)),
}
REFERENCE: dict[str, Any] = {
    "ReduceMean": STRICT["ReduceMean"],
    "ReduceSum": lambda x, axes: x.filled(0).sum(axes),
    "ReduceL1": lambda x, axes: abs(x.filled(0)).sum(axes),
    "ReduceL2": lambda x, axes: np.sqrt((x.filled(0) ** 2).sum(axes)),
    "ReduceSumSquare": lambda x, axes: (x.filled(0) ** 2).sum(axes),
    "ReduceMax": lambda x, axes: x.filled(0).max(axes),
    "ReduceMin": lambda x, axes: x.filled(0).min(axes),
    "ReduceLogSumExp": lambda x, axes: np.log(np.exp(x).sum(axes)),
}
ORACLES = {Mode.STRICT: STRICT, Mode.REFERENCE: REFERENCE}


def count(x: Array, axes: tuple[int, ...]) -> int:
    """All cells, hidden or not."""
    return int(np.prod([x.shape[axis] for axis in axes]))


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("op_type", STRICT)
@pytest.mark.parametrize("axes", [(2, 3), (1, 2, 3), (2,), (3,), (1, 3)], ids=str)
def test_reductions_over_space_take_visible_cells(
    op_type: str, axes: tuple[int, ...], mode: Mode
) -> None:
    feeds = image_and_mask()
    with np.errstate(divide="ignore"):  # the logarithm of a row without visible cells
        expected = np.ma.filled(ORACLES[mode][op_type](visible_cells(feeds), axes), 0)
    left = feeds["mask"].max(axis=tuple(axis for axis in axes if axis > 1))  # along the rest
    for opset in (17, 18):
        for keepdims in (0, 1):
            model = reduction(op_type, [axis - 4 for axis in axes], opset, keepdims=keepdims)
            got = masked_run(model, feeds, mode=mode)["y"]
            # What is hidden along the remaining axis is hidden in the result.
            known = expected if 1 in axes or left.ndim == 2 else expected * left
            known = np.where(left[:, 0] > 0, known, 0) if 1 in axes and left.ndim > 2 else known
            np.testing.assert_allclose(got.reshape(known.shape), known, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("opset", ATTRIBUTE_OPSETS)
@pytest.mark.parametrize("op_type", [*STRICT, "ReduceProd", "ReduceLogSum"])
def test_reductions_over_channels_keep_the_mask(op_type: str, opset: int) -> None:
    model = reduction(op_type, [1], opset, keepdims=0)
    feeds = image_and_mask()
    plain = Laws(model, images=feeds["image"], masks=feeds["mask"])
    hidden = np.broadcast_to(feeds["mask"] == 0, (3, 1, *SIZE))[:, 0]
    expected = {
        "ReduceProd": lambda x, axes: x.prod(axes),
        "ReduceLogSum": lambda x, axes: np.log(x.sum(axes)),
        **STRICT,
    }[op_type]
    with np.errstate(invalid="ignore"):
        known = expected(seen(feeds), (1,))
    got = masked_run(model, feeds)["y"]
    np.testing.assert_allclose(got[~hidden], known[~hidden], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(got[hidden], 0)
    plain.hidden_cells_are_irrelevant()


LAWFUL = [
    "ReduceMean", "ReduceSum", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceMax", "ReduceMin",
    "ReduceLogSumExp",
]  # fmt: skip


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("op_type", LAWFUL)
def test_reductions_obey_the_laws(op_type: str, mode: Mode) -> None:
    for axes in ([2, 3], [3]):
        model = graph(
            f"c = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w) "
            f"r = {op_type} <axes = {axes}> (c) s = Sigmoid (r) g = Mul (c, s) "
            "y = GlobalAveragePool (g)",
            {"w": np.full((4, CHANNELS, 3, 3), 0.01, np.float32)},
            opset=12,
        )
        Laws(model, MaskingOptions(mode=mode)).check()


def test_empty_axes_reduce_nothing_or_all() -> None:
    nothing = {"axes": np.array([], np.int64)}
    text = "y = ReduceMean <noop_with_empty_axes = {}> (x, axes)"
    feeds = image_and_mask()
    got = masked_run(graph(text.format(1), nothing, opset=18), feeds)["y"]
    np.testing.assert_allclose(got, seen(feeds) * feeds["mask"], rtol=1e-4, atol=1e-5)
    with pytest.raises(UnsupportedOperatorError, match="images of a batch"):
        layer_masked(graph(text.format(0), nothing, opset=18))


@pytest.mark.parametrize(
    "nodes",
    [
        "h = ReduceMean <axes = [2]> (x) y = ReduceMean <axes = [3]> (h)",
        "h = ReduceMean <axes = [3], keepdims = 0> (x) y = ReduceMean <axes = [-1]> (h)",
        "h = ReduceMean <axes = [3], keepdims = 0> (x) y = ReduceMean <axes = [2, 1]> (h)",
        "h = ReduceMean <axes = [-2]> (x) s = Squeeze (h, two) y = ReduceMean <axes = [2]> (s)",
    ],
)
def test_means_over_rows_then_columns_are_one_mean(nodes: str) -> None:
    weights = {"two": np.array([2], np.int64)} if "two" in nodes else None
    feeds = image_and_mask()
    axes = (1, 2, 3) if "[2, 1]" in nodes else (2, 3)
    expected = visible_cells(feeds).mean(axes)
    got = masked_run(graph(nodes, weights), feeds)["y"]
    np.testing.assert_allclose(got.reshape(expected.shape), expected, rtol=1e-4, atol=1e-5)
    plain = masked_run(graph(nodes, weights), feeds, global_pool=GlobalPool.PLAIN)["y"]
    zeros = visible_cells(feeds).filled(0).mean(axes)
    np.testing.assert_allclose(plain.reshape(zeros.shape), zeros, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("opset", [13, 22])
@pytest.mark.parametrize(
    ("text", "op_type"),
    [
        ("GlobalMaxPool", "ReduceMax"),
        ("GlobalAveragePool", "ReduceMean"),
        ("GlobalLpPool <p = 1>", "ReduceL1"),
        ("GlobalLpPool <p = 2>", "ReduceL2"),
    ],
)
@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("merged", [False, True])
def test_global_pools_are_reductions(
    *, text: str, op_type: str, mode: Mode, merged: bool, opset: int
) -> None:
    if "Lp" in text and opset == 22:
        pytest.skip("ONNX Runtime has no GlobalLpPool-22")
    feeds = image_and_mask()
    expected = ORACLES[mode][op_type](visible_cells(feeds), (2, 3))
    nodes = f"m = Reshape (x, s) y = {text} (m)" if merged else f"y = {text} (x)"
    weights = {"s": np.array([0, CHANNELS, CELLS], np.int64)} if merged else None
    got = masked_run(graph(nodes, weights, opset=opset), feeds, mode=mode)["y"]
    np.testing.assert_allclose(got.reshape(expected.shape), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "nodes", ["y = GlobalAveragePool (x)", "y = ReduceMean <axes = [2, 3]> (x)"]
)
def test_half_precision_neither_overflows_nor_loses_its_share(nodes: str) -> None:
    size = (409, 408)  # a share of one cell lies in the middle of two numbers of half precision
    feeds = image_and_mask(size)
    feeds["mask"][0] = 0
    feeds["mask"][0, :, 5, 5] = 1
    feeds["image"] = (100 + feeds["image"]).astype(np.float16)
    share = feeds["mask"].mean(axis=(1, 2, 3))[:, None]
    expected = visible_cells(feeds).mean((2, 3)) * share / (share + 1e-8)
    # ONNX Runtime computes in single precision anyway, and drops casts; ONNX's reference does not.
    masked = ir.to_proto(layer_masked(graph(nodes, kind="float16", size=size), trusted=True))
    got = np.asarray(ReferenceEvaluator(masked).run(["y"], feeds))[0, :, :, 0, 0]
    assert got.dtype == np.float16
    # Eleven bits, and sums of three products that cancel in part.
    scale = np.abs(expected).max(axis=1, keepdims=True)
    assert (np.abs(got - expected) <= 1.5e-3 * scale).all()


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("op_type", STRICT)
def test_reductions_of_nothing_visible_are_zero(op_type: str, mode: Mode) -> None:
    feeds = image_and_mask()
    feeds["mask"][:] = 0
    got = masked_run(reduction(op_type, [2, 3], 17), feeds, mode=mode)
    np.testing.assert_array_equal(got["y"], 0)
    np.testing.assert_array_equal(got["mask_coverage"], 0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("y = ReduceProd <axes = [2, 3]> (x)", "zeros"),
        ("y = ReduceLogSum <axes = [3]> (x)", "zeros"),
        ("y = ArgMax <axis = 2> (x)", "place of a cell"),
        ("y = ReduceL2 <axes = [0, 2]> (x)", "images of a batch"),
    ],
)
def test_what_has_no_sound_statistic_is_refused(text: str, reason: str) -> None:
    with pytest.raises(UnsupportedOperatorError, match=reason):
        layer_masked(graph(text))


@pytest.mark.parametrize("keepdims", [0, 1])
def test_the_greatest_channel_is_one_of_each_cell(keepdims: int) -> None:
    text = f"a = ArgMax <axis = 1, keepdims = {keepdims}> (x) y = Cast <to = 1> (a)"
    feeds = image_and_mask()
    got = masked_run(graph(text), feeds)["y"]
    expected = seen(feeds).argmax(axis=1, keepdims=bool(keepdims))
    mask = feeds["mask"] if keepdims else feeds["mask"][:, 0]
    np.testing.assert_array_equal(got, expected * mask)
