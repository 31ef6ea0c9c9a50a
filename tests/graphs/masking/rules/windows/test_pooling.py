"""The rarer pools, and rare forms of the common ones."""

import numpy as np
import onnx_ir as ir
import pytest

from heatproof.evaluators.errors import UnsupportedOperatorError
from heatproof.graphs.masking import MaskingOptions, Mode, layer_masked
from tests.graphs.masking.laws import Laws
from tests.graphs.masking.readings import Geometry, patches
from tests.graphs.masking.single import Array, graph, image_and_mask, masked_run, seen

MODES = list(Mode)


def roots(image: Array, mask: Array, geometry: Geometry, power: int, mode: Mode) -> Array:
    """The root of the sum of powers in each window, in proportion to its visible cells."""
    total = (np.abs(patches(image * mask, geometry, 0)) ** power).sum(axis=(-1, -2))
    held = patches(np.ones_like(mask), geometry, 0).sum(axis=(-1, -2))
    visible = patches(mask, geometry, 0).sum(axis=(-1, -2))
    share = np.maximum(visible, 1e-9) / held if mode is Mode.STRICT else 1
    return np.where(visible > 0, (total / share) ** (1 / power), 0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("power", [1, 2, 3])
@pytest.mark.parametrize("opset", [9, 11, 17, 18, 22])
def test_a_power_pool_sees_zeros_or_in_strict_mode_nothing(
    opset: int, power: int, mode: Mode
) -> None:
    geometry = Geometry("32", "21", "11", "1101")
    text = geometry.attributes("strides", "pads")
    model = graph(f"y = LpPool <{text}, kernel_shape = [3, 2], p = {power}> (x)", opset=opset)
    feeds = image_and_mask()
    expected = roots(seen(feeds), feeds["mask"], geometry, power, mode)
    got = masked_run(model, feeds, mode=mode)["y"]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_a_power_pool_over_the_whole_map_leaves_space(mode: Mode) -> None:
    feeds = image_and_mask()
    geometry = Geometry("75", "11", "11", "0000")
    results = masked_run(graph("y = LpPool <kernel_shape = [7, 5]> (x)"), feeds, mode=mode)
    expected = roots(seen(feeds), feeds["mask"], geometry, 2, mode)
    np.testing.assert_allclose(results["y"], expected, rtol=1e-4, atol=1e-5)
    share = feeds["mask"].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(results["mask_coverage"], share, rtol=1e-6)


FORMS = {
    "dilated": (
        12, "kernel_shape = [3, 2], dilations = [2, 3], pads = [1, 0, 2, 1]", "32 11 23 1021",
    ),
    "rounded up": (12, "kernel_shape = [2, 2], strides = [2, 2], ceil_mode = 1", "22 22 11 0011"),
    "by columns": (12, "kernel_shape = [3, 3], storage_order = 1", "33 11 11 0000"),
    "old": (9, "kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]", "33 22 11 1111"),
    "same": (11, 'kernel_shape = [2, 2], auto_pad = "SAME_LOWER"', "22 11 11 1100"),
    "new": (22, "kernel_shape = [2, 3], dilations = [1, 2], strides = [2, 1]", "23 21 12 0000"),
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("opset", "text", "geometry"), FORMS.values(), ids=FORMS)
def test_every_form_of_max_pool_is_masked(opset: int, text: str, geometry: str, mode: Mode) -> None:
    window = Geometry(*geometry.split())
    feeds = image_and_mask()
    x, mask = seen(feeds), feeds["mask"]
    hidden = 0 if mode is Mode.REFERENCE else -np.inf
    most = patches(np.where(mask == 1, x, hidden), window, -np.inf).max(axis=(-1, -2))
    expected = np.where(window.window(mask) == 1, most, 0)
    got = masked_run(graph(f"y = MaxPool <{text}> (x)", opset=opset), feeds, mode=mode)["y"]
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_a_dilated_average_is_masked(mode: Mode) -> None:
    window = Geometry("32", "11", "23", "1021")
    text = "kernel_shape = [3, 2], dilations = [2, 3], pads = [1, 0, 2, 1]"
    feeds = image_and_mask()
    mask = feeds["mask"]
    total = patches(seen(feeds) * mask, window, 0).sum(axis=(-1, -2))
    held, visible = (
        patches(array, window, 0).sum(axis=(-1, -2)) for array in (np.ones_like(mask), mask)
    )
    divisor = held if mode is Mode.REFERENCE else np.maximum(visible, 1e-9)
    expected = np.where(visible > 0, total / divisor, 0)
    got = masked_run(graph(f"y = AveragePool <{text}> (x)", opset=19), feeds, mode=mode)["y"]
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_the_places_of_maxima_are_refused() -> None:
    nodes = "m, i = MaxPool <kernel_shape = [2, 2]> (x) f = Cast <to = 1> (i) y = Add (m, f)"
    with pytest.raises(UnsupportedOperatorError, match="places of its maxima"):
        layer_masked(graph(nodes))


LAWFUL = {
    "power": "p = LpPool <kernel_shape = [3, 3], strides = [2, 2], p = 3> (x)",
    "dilated maximum": "p = MaxPool <kernel_shape = [3, 3], dilations = [2, 2]> (x)",
    "dilated mean": "p = AveragePool <kernel_shape = [3, 3], dilations = [2, 2]> (x)",
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("nodes", LAWFUL.values(), ids=LAWFUL)
def test_networks_of_pools_obey_the_laws(nodes: str, mode: Mode) -> None:
    model = graph(f"{nodes} y = GlobalAveragePool (p)", size=(18, 15), opset=19)
    Laws(model, MaskingOptions(mode=mode)).check()


MEANS = {
    "rows": ("y = AveragePool <kernel_shape = [7, 1]> (x)", "y = ReduceMean <axes = [2]> (x)"),
    "columns": ("y = AveragePool <kernel_shape = [1, 5]> (x)", "y = ReduceMean <axes = [3]> (x)"),
    "rows, then columns": (
        "h = AveragePool <kernel_shape = [7, 1]> (x) y = AveragePool <kernel_shape = [1, 5]> (h)",
        "h = ReduceMean <axes = [2]> (x) y = ReduceMean <axes = [3]> (h)",
    ),
    "all": ("y = AveragePool <kernel_shape = [7, 5]> (x)", "y = GlobalAveragePool (x)"),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("pool", "mean"), MEANS.values(), ids=MEANS)
def test_pools_over_whole_axes_are_means(pool: str, mean: str, mode: Mode) -> None:
    feeds = image_and_mask()
    expected = masked_run(graph(mean), feeds, mode=mode)["y"]
    got = masked_run(graph(pool), feeds, mode=mode)["y"]
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_a_dilated_window_as_wide_as_the_image_is_no_global_mean() -> None:
    window = "kernel_shape = [4, 3], dilations = [2, 2]"  # reads every second cell
    feeds = image_and_mask()
    feeds["mask"] = np.ones_like(feeds["mask"])
    expected = seen(feeds)[:, :, ::2, ::2].mean(axis=(2, 3), keepdims=True)
    got = masked_run(graph(f"y = AveragePool <{window}> (x)", opset=19), feeds)["y"]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_a_single_cell_leaves_space_through_a_flattening_alone(mode: Mode) -> None:
    nodes = "m = AveragePool <kernel_shape = [1, 1]> (x) y = Flatten (m)"
    Laws(graph(nodes, size=(18, 15)), MaskingOptions(mode=mode)).check()


@pytest.mark.parametrize("pool", ["AveragePool", "LpPool"])
def test_strict_pools_of_a_fixed_batch_obey_the_laws(pool: str) -> None:
    model = ir.from_onnx_text(
        f"""<ir_version: 9, opset_import: ["": 17]>
        g (float[2, 3, 9, 8] image) => (float[2, 3, 8, 7] y)
        {{ y = {pool} <kernel_shape = [2, 2]> (image) }}"""
    )
    Laws(model, MaskingOptions(mode=Mode.STRICT)).check()
