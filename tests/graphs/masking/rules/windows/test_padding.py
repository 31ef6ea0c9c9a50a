"""Pad in front of what reads it: its cells are neither removed nor visible parts of the image."""

from typing import Literal

import numpy as np
import pytest

from heatproof.evaluators.errors import UnsupportedOperatorError
from heatproof.graphs.masking import MaskingOptions, Mode, layer_masked
from tests.graphs.masking.laws import Laws
from tests.graphs.masking.readings import Geometry, convolved, fill, patches, window_rule
from tests.graphs.masking.single import CHANNELS, Array, graph, image_and_mask, masked_run, seen

SIZES = ((9, 7), (26, 23))  # filled by one matrix product; filled round by round
MODES = list(Mode)
PADS = (2, 1, 1, 3)  # top, left, bottom, right
KERNEL = np.random.default_rng(2).standard_normal((CHANNELS, CHANNELS, 3, 3)).astype(np.float32)
UNPADDED = Geometry("33", "11", "11", "0000")

# Single precision against double, values of order 10.
TOLERANCE = 2e-5


def onnx_pads(pads: tuple[int, ...] = PADS) -> Array:
    return np.array([0, 0, pads[0], pads[1], 0, 0, pads[2], pads[3]], np.int64)


def padded(array: Array, value: float = 0.0, pads: tuple[int, ...] = PADS) -> Array:
    top, left, bottom, right = pads
    edges = [(0, 0), (0, 0), (top, bottom), (left, right)]
    return np.asarray(np.pad(array, edges, constant_values=value))


def image_cells(size: tuple[int, int], pads: tuple[int, ...] = PADS) -> Array:
    cells: Array = padded(np.ones((1, 1, *size)), 0, pads)[0, 0]
    return cells


def rounds(mode: Mode, size: tuple[int, int]) -> int:
    return 3 if mode is Mode.REFERENCE else max(size)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("value", [0.0, 0.7])
def test_a_convolution_fills_before_the_pad_and_masks_by_its_image_cells(
    value: float, size: tuple[int, int], mode: Mode
) -> None:
    model = graph(
        "p = Pad (x, pads, value) y = Conv (p, w)",
        {"pads": onnx_pads(), "value": np.array(value, np.float32), "w": KERNEL},
        size=size,
    )
    feeds = image_and_mask(size)
    x, mask = seen(feeds), feeds["mask"]
    filled = padded(fill(x, mask, rounds(mode, size)), value)
    shown = window_rule(padded(mask), UNPADDED, image_cells(size))
    expected = convolved(filled, KERNEL, UNPADDED) * shown
    scale = np.abs(expected).max()
    np.testing.assert_allclose(
        masked_run(model, feeds, mode=mode)["y"], expected, atol=TOLERANCE * scale
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_function_between_pad_and_convolution_changes_nothing_of_that(
    size: tuple[int, int], mode: Mode
) -> None:
    model = graph(
        "p = Pad (x, pads, value) s = Sigmoid (p) y = Conv (s, w)",
        {"pads": onnx_pads(), "value": np.array(-np.inf, np.float32), "w": KERNEL},
        size=size,
    )
    feeds = image_and_mask(size)
    x, mask = 1 / (1 + np.exp(-seen(feeds))), feeds["mask"]
    shown = window_rule(padded(mask), UNPADDED, image_cells(size))
    filled = padded(fill(x, mask, rounds(mode, size)))
    expected = convolved(filled, KERNEL, UNPADDED) * shown
    scale = np.abs(expected).max()
    np.testing.assert_allclose(
        masked_run(model, feeds, mode=mode)["y"], expected, atol=TOLERANCE * scale
    )


@pytest.mark.parametrize("mode", MODES)
def test_one_pad_may_feed_a_convolution_and_a_pool(mode: Mode) -> None:
    size = SIZES[0]
    model = graph(
        "p = Pad (x, pads) c = Conv (p, w) d = MaxPool <kernel_shape = [3, 3]> (p) "
        "y = Concat <axis = 1> (c, d)",
        {"pads": onnx_pads(), "w": KERNEL},
        size=size,
    )
    feeds = image_and_mask(size)
    x, mask = seen(feeds), feeds["mask"]
    shown = window_rule(padded(mask), UNPADDED, image_cells(size))
    filled = padded(fill(x, mask, rounds(mode, size)))
    hidden = 0 if mode is Mode.REFERENCE else -np.inf
    most = patches(padded(np.where(mask == 1, x, hidden)), UNPADDED, 0).max(axis=(-1, -2))
    expected = np.concatenate([convolved(filled, KERNEL, UNPADDED), most], 1)
    expected = np.where(shown == 1, expected, 0)
    scale = np.abs(expected).max()
    got = masked_run(model, feeds, mode=mode)["y"]
    np.testing.assert_allclose(got, expected, atol=TOLERANCE * scale)


COPIES: list[Literal["reflect", "edge", "wrap"]] = ["reflect", "edge", "wrap"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("copies", COPIES)
def test_copies_of_cells_are_as_visible_as_these(
    copies: Literal["reflect", "edge", "wrap"], size: tuple[int, int], mode: Mode
) -> None:
    model = graph(
        f'p = Pad <mode = "{copies}"> (x, pads) y = Conv (p, w)',
        {"pads": onnx_pads(), "w": KERNEL},
        size=size,
        opset=19,
    )
    feeds = image_and_mask(size)
    x, mask = seen(feeds), feeds["mask"]
    edges = [(0, 0), (0, 0), (PADS[0], PADS[2]), (PADS[1], PADS[3])]
    around = np.pad(mask, edges, copies)
    if copies == "wrap":  # copies are neighbours of what they lie beside
        filled = fill(np.pad(x, edges, copies), around, rounds(mode, size))
    else:
        filled = np.pad(fill(x, mask, rounds(mode, size)), edges, copies)
    expected = convolved(filled, KERNEL, UNPADDED) * window_rule(around, UNPADDED)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(
        masked_run(model, feeds, mode=mode)["y"], expected, atol=TOLERANCE * scale
    )


@pytest.mark.parametrize("mode", MODES)
def test_negative_pads_crop_first(mode: Mode) -> None:
    size = SIZES[0]
    model = graph(
        "p = Pad (x, pads) y = Conv (p, w)", {"pads": onnx_pads((-1, 1, 2, -2)), "w": KERNEL},
        size=size,
    )  # fmt: skip
    feeds = image_and_mask(size)
    x, mask = (array[:, :, 1:, :-2] for array in (seen(feeds), feeds["mask"]))
    added = (0, 1, 2, 0)
    filled = padded(fill(x, mask, rounds(mode, size)), 0, added)
    shown = window_rule(padded(mask, 0, added), UNPADDED, image_cells(x.shape[2:], added))
    expected = convolved(filled, KERNEL, UNPADDED) * shown
    scale = np.abs(expected).max()
    np.testing.assert_allclose(
        masked_run(model, feeds, mode=mode)["y"], expected, atol=TOLERANCE * scale
    )


def test_a_border_of_the_lowest_number_never_wins_and_never_becomes_nan() -> None:
    pads = (3, 0, 3, 1)  # more than the kernel: no pool takes these
    model = graph(
        "p = Pad (x, pads, low) y = MaxPool <kernel_shape = [2, 2]> (p)",
        {"pads": onnx_pads(pads), "low": np.array(-np.inf, np.float32)},
    )
    feeds = image_and_mask()
    x, mask = seen(feeds), feeds["mask"]
    window = Geometry("22", "11", "11", "0000")
    shown = window_rule(padded(mask, 0, pads), window, image_cells(x.shape[2:], pads))
    most = patches(padded(x * mask, -np.inf, pads), window, 0).max(axis=(-1, -2))
    got = masked_run(model, feeds)["y"]
    np.testing.assert_allclose(got, np.where(shown == 1, most, 0), atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_zeros_in_front_of_an_average_count_and_padding_in_it_too(mode: Mode) -> None:
    feeds = image_and_mask()
    pool = "AveragePool <kernel_shape = [3, 3], strides = [2, 2]"
    pads = (2, 1, 1, 2)
    apart = graph(f"p = Pad (x, pads) r = Relu (p) y = {pool}> (r)", {"pads": onnx_pads(pads)})
    within = graph(f"r = Relu (x) y = {pool}, pads = {list(pads)}, count_include_pad = 1> (r)")
    first, second = (masked_run(model, feeds, mode=mode)["y"] for model in (apart, within))
    np.testing.assert_allclose(first, second, atol=1e-6)
    geometry = Geometry("33", "22", "11", "0000")
    mask = feeds["mask"]
    values = np.maximum(seen(feeds), 0) * mask
    total, share, whole = (
        patches(padded(array, 0, pads), geometry, 0).mean((-1, -2))
        for array in (values, mask, np.ones_like(mask))
    )
    factor = whole / np.maximum(share, 1e-9) if mode is Mode.STRICT else 1
    np.testing.assert_allclose(first, np.where(share > 0, total * factor, 0), atol=1e-5)


FOLDED = {
    "Conv (p, w)": "Conv <pads = [2, 1, 1, 2]> (x, w)",
    "AveragePool <kernel_shape = [3, 3]> (p)": (
        "AveragePool <kernel_shape = [3, 3], pads = [2, 1, 1, 2], count_include_pad = 1> (x)"
    ),
}


@pytest.mark.parametrize(("reader", "alone"), FOLDED.items())
def test_readers_that_can_pad_by_themselves_do(reader: str, alone: str) -> None:
    weights = {"w": KERNEL} if "w" in reader else {}
    pads = {"pads": onnx_pads((2, 1, 1, 2))}
    apart = layer_masked(graph(f"p = Pad (x, pads) y = {reader}", weights | pads))
    within = layer_masked(graph(f"y = {alone}", weights))
    assert [node.op_type for node in apart.graph] == [node.op_type for node in within.graph]
    feeds = image_and_mask()
    for results in (masked_run(graph(f"p = Pad (x, pads) y = {reader}", weights | pads), feeds),):
        np.testing.assert_array_equal(
            results["y"], masked_run(graph(f"y = {alone}", weights), feeds)["y"]
        )


def test_padded_channels_keep_the_mask() -> None:
    pads = np.array([0, 1, 0, 0, 0, 2, 0, 0], np.int64)
    model = graph("p = Pad (x, pads) y = Sigmoid (p)", {"pads": pads})
    feeds = image_and_mask()
    wide = np.pad(seen(feeds), [(0, 0), (1, 2), (0, 0), (0, 0)])
    expected = feeds["mask"] / (1 + np.exp(-wide))
    np.testing.assert_allclose(masked_run(model, feeds)["y"], expected, atol=1e-6)


FORMS = {
    2: "Pad <pads = [0, 0, 2, 1, 0, 0, 1, 3], value = 0.5> (x)",
    11: "Pad (x, pads, half)",
    13: "Pad (x, pads, half)",
    18: "Pad (x, short, half, axes)",
    19: "Pad (x, short, half, axes)",
    21: "Pad (x, pads, half)",
    23: "Pad (x, short, half, axes)",
    24: "Pad (x, pads, half)",
    25: "Pad (x, short, half, axes)",
}


@pytest.mark.parametrize(("opset", "form"), FORMS.items())
def test_every_version_of_pad_means_the_same(opset: int, form: str) -> None:
    operands = {
        "pads": onnx_pads(),
        "short": np.array([1, 2, 3, 1], np.int64),
        "half": np.array(0.5, np.float32),
        "axes": np.array([-1, 2], np.int64),
    }
    model = graph(
        f"p = {form} y = Conv (p, w)",
        {name: array for name, array in operands.items() if f" {name}" in form.partition("(")[2]}
        | {"w": KERNEL},
        opset=max(opset, 9),
    )
    feeds = image_and_mask()
    x, mask = seen(feeds), feeds["mask"]
    shown = window_rule(padded(mask), UNPADDED, image_cells(x.shape[2:]))
    expected = convolved(padded(fill(x, mask, 3), 0.5), KERNEL, UNPADDED) * shown
    np.testing.assert_allclose(
        masked_run(model, feeds)["y"], expected, atol=TOLERANCE * np.abs(expected).max()
    )


def test_coverage_leaves_padding_out() -> None:
    model = graph("p = Pad (x, pads) y = Flatten (p)", {"pads": onnx_pads()})
    feeds = image_and_mask()
    coverage = masked_run(model, feeds)["mask_coverage"]
    np.testing.assert_allclose(coverage, feeds["mask"].mean(axis=(1, 2, 3)), rtol=1e-6)


def test_windows_over_nothing_but_padding_are_no_part_of_the_image() -> None:
    # The first convolution's outermost cells are its bias alone; they show no window of the next.
    feeds = image_and_mask()
    wide, narrow = Geometry("11", "11", "11", "2222"), Geometry("33", "11", "11", "0000")
    point = KERNEL[:, :, :1, :1]
    model = graph(
        "c = Conv <pads = [2, 2, 2, 2]> (x, p) y = Conv (c, w)", {"p": point, "w": KERNEL}
    )
    x, mask = seen(feeds), feeds["mask"]
    image = image_cells(x.shape[2:], (2, 2, 2, 2))
    shown = window_rule(padded(mask, 0, (2, 2, 2, 2)), narrow, image)
    filled = fill(convolved(x, point, Geometry("11", "11", "11", "0000")), mask, 3)
    expected = convolved(padded(filled, 0, (2, 2, 2, 2)), KERNEL, narrow) * shown
    got = masked_run(model, feeds)["y"]
    np.testing.assert_allclose(got, expected, atol=TOLERANCE * np.abs(expected).max())
    assert wide.window(mask)[..., 0].all()  # the window rule shows the outermost cells themselves


def test_a_sum_with_padding_is_hidden_where_the_other_term_is() -> None:
    nodes = "p = Pad (x, pads) d = MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (p)"
    model = graph(f"{nodes} s = Add (p, d) y = Sigmoid (s)", {"pads": onnx_pads()})
    feeds = image_and_mask()
    mask = feeds["mask"]
    image = image_cells(mask.shape[2:])
    around = Geometry("33", "11", "11", "1111")
    most = window_rule(padded(mask), around, image)
    shown = masked_run(model, feeds)["y"] != 0
    expected = (most == 1) & (padded(mask, 1) == 1)
    np.testing.assert_array_equal(shown, np.broadcast_to(expected, shown.shape))


LAWFUL = {
    "constant": "p = Pad (x, pads, half) c = Conv (p, w) y = GlobalAveragePool (c)",
    "two readers": (
        "p = Pad (x, pads) c = Conv (p, w) d = MaxPool <kernel_shape = [3, 3]> (p) "
        "s = Add (c, d) y = GlobalAveragePool (s)"
    ),
    "function between": (
        "p = Pad (x, pads, half) e = Exp (p) c = Conv (e, w) y = GlobalAveragePool (c)"
    ),
    "reflect": 'p = Pad <mode = "reflect"> (x, pads) c = Conv (p, w) y = GlobalAveragePool (c)',
    "edge": 'p = Pad <mode = "edge"> (x, pads) c = Conv (p, w) y = GlobalAveragePool (c)',
    "wrap": 'p = Pad <mode = "wrap"> (x, pads) c = Conv (p, w) y = GlobalAveragePool (c)',
    "negative": "p = Pad (x, crop) c = Conv (p, w) y = GlobalAveragePool (c)",
    "exit": "p = Pad (x, pads, half) e = Exp (p) y = GlobalAveragePool (e)",
    "average": (
        "p = Pad (x, pads, half) a = AveragePool <kernel_shape = [2, 2], strides = [2, 2], "
        "pads = [0, 1, 1, 0]> (p) y = GlobalAveragePool (a)"
    ),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("nodes", LAWFUL.values(), ids=LAWFUL)
def test_padded_networks_obey_the_laws(nodes: str, mode: Mode) -> None:
    operands = {
        "pads": onnx_pads(),
        "crop": onnx_pads((-1, 2, 0, -1)),
        "half": np.array(0.5, np.float32),
        "w": KERNEL,
    }
    weights = {name: array for name, array in operands.items() if f" {name}" in nodes}
    Laws(graph(nodes, weights, size=(13, 11), opset=19), MaskingOptions(mode=mode)).check()


def test_a_pad_of_the_batch_or_of_computed_size_is_refused() -> None:
    batch = graph("y = Pad (x, pads)", {"pads": np.array([1, 0, 0, 0, 0, 0, 0, 0], np.int64)})
    with pytest.raises(UnsupportedOperatorError, match="pads the batch"):
        layer_masked(batch)
    # As many rows as there are images.
    computed = graph(
        "s = Shape (x) n = Gather (s, first) p = Concat <axis = 0> (two, n, five) y = Pad (x, p)",
        {"first": np.array([0]), "two": np.zeros(2, np.int64), "five": np.zeros(5, np.int64)},
    )
    with pytest.raises(UnsupportedOperatorError, match="not constant"):
        layer_masked(computed)
