"""Each rule against a slow reading of its definition in NumPy, on graphs of one operator."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from heatproof.graphs.masking import (
    ConcatVote,
    GlobalPool,
    MaskingOptions,
    Mode,
    layer_masked,
)
from tests.graphs.masking.readings import Geometry, fill, patches

Array = NDArray[Any]
SIZES = ((11, 8), (26, 23))  # filled by one matrix product; filled round by round
CHANNELS = 8

# Single precision against double, values of order 10.
TOLERANCE = 2e-5


GEOMETRIES = [
    Geometry(kernel, strides, dilations, pads)
    for kernel, strides, dilations, pads in (
        ("33", "11", "11", "1111"),
        ("33", "22", "11", "0011"),
        ("53", "12", "11", "2121"),
        ("13", "11", "11", "0101"),
        ("31", "11", "11", "1010"),
        ("77", "22", "11", "3333"),
        ("33", "11", "22", "2222"),
        ("35", "21", "21", "2222"),
        ("22", "22", "11", "0000"),
        ("11", "11", "11", "0000"),
        ("11", "22", "11", "0000"),
        ("33", "44", "11", "0000"),
    )
]


@pytest.fixture(params=SIZES, ids=str)
def feeds(request: pytest.FixtureRequest) -> dict[str, Array]:
    """Images of eight channels after the entry, a kept box and scattered cells."""
    rng = np.random.default_rng(0)
    mask = np.zeros((3, 1, *request.param), np.float32)
    mask[0, :, 3:6, 2:4] = 1
    mask[1] = rng.random(request.param) < 0.1
    mask[2] = rng.random(request.param) < 0.7
    return {"image": rng.standard_normal((3, 3, *request.param)).astype(np.float32), "mask": mask}


@pytest.fixture
def lifted(feeds: dict[str, Array]) -> Array:
    """What the operator under test sees: the image's channels, mixed."""
    return np.asarray(np.einsum("oi,nihw->nohw", MIX, feeds["image"] * feeds["mask"]))


MIX = np.random.default_rng(1).standard_normal((CHANNELS, 3)).astype(np.float32)


def graph(feeds: dict[str, Array], nodes: str, weights: dict[str, Array] | None = None) -> ir.Model:
    """`nodes` between `x` [N, 8, H, W], which hides nothing after the entry, and `y`."""
    height, width = feeds["image"].shape[2:]
    model = ir.from_onnx_text(
        f"""<ir_version: 9, opset_import: ["": 17]>
        g (float[n, 3, {height}, {width}] image) => (y)
        {{ x = Conv (image, mix)
           {nodes} }}"""
    )
    for name, array in {"mix": MIX[:, :, None, None], **(weights or {})}.items():
        value = next(v for node in model.graph for v in node.inputs if v and v.name == name)
        value.const_value = ir.tensor(array, name=name)
        model.graph.register_initializer(value)
    model.graph.outputs[0].dtype = ir.DataType.FLOAT
    return model


@pytest.fixture
def mask_of(load: Any) -> Callable[..., dict[str, Array]]:
    """Runs the rewritten graph."""

    def results(model: ir.Model, feeds: dict[str, Array], **options: Any) -> dict[str, Array]:
        found: dict[str, Array] = load(layer_masked(model, MaskingOptions(**options)))(**feeds)
        return found

    return results


Run = Callable[..., dict[str, Array]]


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=lambda g: g.attributes("kernel", "strides"))
def test_convolution_reads_its_filled_input(
    *, geometry: Geometry, depthwise: bool, mode: Mode, feeds: dict[str, Array],
    lifted: Array, mask_of: Run,
) -> None:  # fmt: skip
    group = CHANNELS if depthwise else 1
    rng = np.random.default_rng(2)
    weights = rng.standard_normal((CHANNELS, CHANNELS // group, *geometry.kernel))
    bias = rng.standard_normal(CHANNELS).astype(np.float32)
    attributes = geometry.attributes("strides", "dilations", "pads")
    text = f"y = Conv <{attributes}, group = {group}> (x, w, b)"
    arrays = {"w": weights.astype(np.float32), "b": bias}
    got = mask_of(graph(feeds, text, arrays), feeds, mode=mode)["y"]
    # The reference fills as often as its kernel is wide, whatever the kernel can read.
    rounds = geometry.kernel[1] if mode is Mode.REFERENCE else 40
    if geometry.kernel == (1, 1):
        rounds = 0
    windows = patches(fill(lifted, feeds["mask"], rounds), geometry, 0)
    product = "nchwij,cij->nchw" if depthwise else "nchwij,ocij->nohw"
    kernel = weights[:, 0] if depthwise else weights
    expected = np.einsum(product, windows, kernel) + bias[:, None, None]
    expected = expected * geometry.window(feeds["mask"])
    np.testing.assert_allclose(got, expected, atol=TOLERANCE * np.abs(expected).max())


POOLS = [geometry for geometry in GEOMETRIES if geometry.dilations == (1, 1)]


@pytest.mark.parametrize("geometry", POOLS, ids=lambda g: g.attributes("kernel", "strides"))
def test_max_pool_sees_zeros_or_in_strict_mode_nothing(
    geometry: Geometry, feeds: dict[str, Array], lifted: Array, mask_of: Run
) -> None:
    attributes = geometry.attributes("strides", "pads")
    text = f"y = MaxPool <{attributes}, kernel_shape = {list(geometry.kernel)}> (x)"
    seen = geometry.window(feeds["mask"])
    for mode, hidden in ((Mode.REFERENCE, 0.0), (Mode.STRICT, -np.inf)):
        cut = np.where(feeds["mask"] == 1, lifted, hidden)
        most = patches(cut, geometry, -np.inf).max(axis=(-1, -2))
        got = mask_of(graph(feeds, text), feeds, mode=mode)["y"]
        np.testing.assert_allclose(got, np.where(seen == 1, most, 0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("counts_padding", [0, 1])
@pytest.mark.parametrize("geometry", POOLS, ids=lambda g: g.attributes("kernel", "strides"))
def test_average_pool_sees_zeros_or_in_strict_mode_nothing(
    geometry: Geometry, counts_padding: int, feeds: dict[str, Array], lifted: Array, mask_of: Run
) -> None:
    attributes = geometry.attributes("strides", "pads")
    text = (
        f"y = AveragePool <{attributes}, kernel_shape = {list(geometry.kernel)}, "
        f"count_include_pad = {counts_padding}> (x)"
    )
    mask = feeds["mask"]
    total = patches(lifted, geometry, 0).sum(axis=(-1, -2))
    cells = patches(np.ones_like(mask), geometry, counts_padding).sum(axis=(-1, -2))
    inside = patches(np.ones_like(mask), geometry, 0).sum(axis=(-1, -2))
    visible = patches(mask, geometry, 0).sum(axis=(-1, -2))
    plain = mask_of(graph(feeds, text), feeds)["y"]
    np.testing.assert_allclose(plain, total / cells, rtol=1e-4, atol=1e-5)
    # The original divisor where all image cells are visible, in proportion where some are.
    share = np.maximum(visible, 1e-9) / inside
    strict = mask_of(graph(feeds, text), feeds, mode=Mode.STRICT)["y"]
    expected = np.where(visible > 0, total / cells / share, 0)
    np.testing.assert_allclose(strict, expected, rtol=1e-4, atol=1e-5)


GLOBAL_MEANS = [
    "y = GlobalAveragePool (x)",
    "y = ReduceMean <axes = [2, 3]> (x)",
    "y = ReduceMean <axes = [-1, -2], keepdims = 0> (x)",
    "y = AveragePool <kernel_shape = [{h}, {w}]> (x)",
    "t = Transpose <perm = [0, 2, 3, 1]> (x) y = ReduceMean <axes = [1, 2]> (t)",
]


@pytest.mark.parametrize("text", GLOBAL_MEANS)
def test_global_mean_is_over_visible_cells(
    text: str, feeds: dict[str, Array], lifted: Array, mask_of: Run
) -> None:
    height, width = lifted.shape[2:]
    model = graph(feeds, text.format(h=height, w=width))
    total, visible = lifted.sum(axis=(2, 3)), feeds["mask"].sum(axis=(2, 3))
    results = mask_of(model, feeds)
    np.testing.assert_allclose(results["y"].reshape(3, CHANNELS), total / visible, atol=1e-5)
    np.testing.assert_allclose(
        results["mask_coverage"], visible[:, 0] / (height * width), rtol=1e-5
    )
    plain = mask_of(model, feeds, global_pool=GlobalPool.PLAIN)["y"]
    np.testing.assert_allclose(plain.reshape(3, CHANNELS), total / (height * width), atol=1e-5)


@pytest.mark.parametrize("text", ["y = Flatten (x)", "y = Reshape (x, s)"])
def test_a_dense_layer_sees_removed_cells_as_zeros(
    text: str, feeds: dict[str, Array], lifted: Array, mask_of: Run
) -> None:
    arrays = {"s": np.array([0, -1], np.int64)} if "s)" in text else None
    got = mask_of(graph(feeds, text, arrays), feeds)["y"]
    np.testing.assert_allclose(got, lifted.reshape(3, -1), atol=1e-5)


DILATED = "d = MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x)"


def dilated(mask: Array) -> Array:
    return Geometry("33", "11", "11", "1111").window(mask)


@pytest.mark.parametrize("text", ["y = Add (x, d)", "y = Add (d, x)"])
def test_a_sum_is_visible_where_both_terms_are(
    text: str, feeds: dict[str, Array], lifted: Array, mask_of: Run
) -> None:
    most = patches(lifted, Geometry("33", "11", "11", "1111"), -np.inf).max(axis=(-1, -2))
    got = mask_of(graph(feeds, f"{DILATED} {text}"), feeds)["y"]
    np.testing.assert_allclose(got, (lifted + most) * feeds["mask"], atol=1e-5)


@pytest.mark.parametrize(
    "form",
    [
        "y = Concat <axis = 1> (x, d, e)",
        "i = Concat <axis = 1> (x, d) y = Concat <axis = -3> (i, e)",
    ],
)
@pytest.mark.parametrize("vote", list(ConcatVote))
def test_a_concatenation_is_visible_by_vote(
    vote: ConcatVote, form: str, feeds: dict[str, Array], mask_of: Run
) -> None:
    # A constant tells hidden cells, which are zeros, from visible ones.
    nodes = (
        f"c = Relu (x) {DILATED} f = MaxPool <kernel_shape = [5, 1], pads = [2, 0, 2, 0]> (x) "
        f"e = Identity (f) {form.replace('y =', 'z =')} s = Sigmoid (z) y = Identity (s)"
    )
    masks = [feeds["mask"], dilated(feeds["mask"])]
    masks.append(Geometry("51", "11", "11", "2020").window(feeds["mask"]))
    votes = sum(masks)
    seen = {
        ConcatVote.MAJORITY: votes > 1.5,
        ConcatVote.UNION: votes > 0,
        ConcatVote.INTERSECTION: votes == 3,
    }[vote]
    got = mask_of(graph(feeds, nodes), feeds, concat=vote)["y"]
    np.testing.assert_array_equal(got != 0, np.broadcast_to(seen, got.shape))
    third = got[:, 2 * CHANNELS :]
    hidden = np.broadcast_to(seen & (masks[2] == 0), third.shape)
    np.testing.assert_array_equal(third[hidden], np.float32(0.5))
