"""Slices, gathers, flips, repetitions, splits and joins of cells and channels."""

from collections.abc import Callable

import numpy as np
import pytest

from heatproof.evaluators.errors import InvalidModelError, UnsupportedOperatorError
from heatproof.graphs.masking import MaskingOptions, Mode, layer_masked
from heatproof.graphs.masking.rewriting import rewritten
from heatproof.graphs.masking.states import Axes, Spatial
from tests.graphs.masking.laws import Laws
from tests.graphs.masking.readings import Geometry, convolved, fill, window_rule
from tests.graphs.masking.single import (
    CHANNELS,
    SIZE,
    Array,
    graph,
    image_and_mask,
    masked_run,
    seen,
)

LEAST = -(2**63)
MOST = 2**63 - 1
KERNEL = np.random.default_rng(2).standard_normal((CHANNELS, CHANNELS, 3, 3)).astype(np.float32)


def vector(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def bounds(**numbers: tuple[int, ...]) -> dict[str, Array]:
    return {name: vector(*values) for name, values in numbers.items()}


Pick = Callable[[Array], Array]
"""What an operator does to a map, and to its mask."""

SELECTIONS: dict[str, tuple[str, dict[str, Array], Pick]] = {
    "crop": (
        "p = Slice (x, starts, ends, axes)",
        bounds(starts=(1, -4), ends=(6, MOST), axes=(2, 3)),
        lambda a: a[:, :, 1:6, -4:],
    ),
    "strides": (
        "p = Slice (x, starts, ends, axes, steps)",
        bounds(starts=(1, 0), ends=(MOST, MOST), axes=(-2, -1), steps=(2, 2)),
        lambda a: a[:, :, 1::2, ::2],
    ),
    "flip": (
        "p = Slice (x, starts, ends, axes, steps)",
        bounds(starts=(-1,), ends=(LEAST,), axes=(3,), steps=(-1,)),
        lambda a: a[..., ::-1],
    ),
    "all axes": (
        "p = Slice (x, starts, ends)",
        bounds(starts=(0, 0, 1, 0), ends=(MOST, MOST, 5, 4)),
        lambda a: a[:, :, 1:5, :4],
    ),
    "gather": (
        "p = Gather <axis = 2> (x, i)",
        bounds(i=(4, -1, 0, 0)),
        lambda a: a[:, :, [4, -1, 0, 0]],
    ),
    "tile": (
        "p = Tile (x, r)",
        bounds(r=(1, 1, 2, 3)),
        lambda a: np.tile(a, (1, 1, 2, 3)),
    ),
    "split": (
        "q, p = Split <axis = 2> (x, parts)",
        bounds(parts=(2, 5)),
        lambda a: a[:, :, 2:],
    ),
    "joined rows": (
        "u = Slice (x, starts, ends, axes) p = Concat <axis = 2> (x, u)",
        bounds(starts=(3,), ends=(MOST,), axes=(2,)),
        lambda a: np.concatenate([a, a[:, :, 3:]], 2),
    ),
}


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize(("nodes", "operands", "pick"), SELECTIONS.values(), ids=SELECTIONS)
def test_the_mask_is_picked_from_as_the_map_is(
    nodes: str, operands: dict[str, Array], pick: Pick, mode: Mode
) -> None:
    feeds = image_and_mask()
    x, mask = pick(seen(feeds)), pick(feeds["mask"])
    # A sigmoid tells hidden cells, which an output shows as zeros, from visible ones.
    shown = masked_run(graph(f"{nodes} y = Sigmoid (p)", operands), feeds, mode=mode)["y"]
    np.testing.assert_allclose(shown, mask / (1 + np.exp(-x)), atol=1e-6)
    model = graph(f"{nodes} y = Conv (p, w)", operands | {"w": KERNEL})
    geometry = Geometry("33", "11", "11", "0000")
    expected = convolved(fill(x, mask, 2), KERNEL, geometry) * window_rule(mask, geometry)
    got = masked_run(model, feeds, mode=mode)["y"]
    np.testing.assert_allclose(got, expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize(("nodes", "operands", "pick"), SELECTIONS.values(), ids=SELECTIONS)
def test_picked_masks_are_known_when_the_graph_is_written(
    nodes: str, operands: dict[str, Array], pick: Pick
) -> None:
    state = rewritten(graph(f"{nodes} y = Sigmoid (p)", operands), MaskingOptions()).states["p"]
    assert isinstance(state, Spatial)
    assert state.mask.field is not None
    # A kept cell at each place shows the blocks.
    cells = np.eye(SIZE[0] * SIZE[1]).reshape(-1, 1, *SIZE)
    rows, columns = state.mask.field.rows, state.mask.field.columns
    np.testing.assert_array_equal(
        pick(cells) > 0, np.einsum("ai,ncij,bj->ncab", rows, cells, columns) > 0
    )


CHANNEL_SELECTIONS: dict[str, tuple[str, dict[str, Array], Pick]] = {
    "slice": (
        "p = Slice (x, starts, ends, axes)",
        bounds(starts=(2,), ends=(-1,), axes=(1,)),
        lambda a: a[:, 2:-1],
    ),
    "gather": ("p = Gather <axis = 1> (x, i)", bounds(i=(5, 5, 0)), lambda a: a[:, [5, 5, 0]]),
    "table": (
        "p = Gather <axis = 1> (x, i)",
        {"i": np.array([[1, 2, 3], [5, 5, 0]])},
        lambda a: a[:, [[1, 2, 3], [5, 5, 0]]],
    ),
    "one": ("p = Gather <axis = 1> (x, i)", {"i": np.array(3)}, lambda a: a[:, 3]),
    "tile": ("p = Tile (x, r)", bounds(r=(1, 2, 1, 1)), lambda a: np.tile(a, (1, 2, 1, 1))),
    "expand": (
        "u = Unsqueeze (x, one) p = Expand (u, s)",
        bounds(one=(1,), s=(1, 3, 1, 1, 1)),
        lambda a: np.repeat(a[:, None], 3, axis=1),
    ),
}


@pytest.mark.parametrize(
    ("nodes", "operands", "pick"), CHANNEL_SELECTIONS.values(), ids=CHANNEL_SELECTIONS
)
def test_picks_of_channels_keep_the_mask(
    nodes: str, operands: dict[str, Array], pick: Pick
) -> None:
    feeds = image_and_mask()
    expected = pick(1 / (1 + np.exp(-seen(feeds))) * feeds["mask"])
    got = masked_run(graph(f"{nodes} y = Sigmoid (p)", operands), feeds)["y"]
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_a_picked_row_loses_its_axis_and_a_picked_cell_leaves_space() -> None:
    nodes = "r = Gather <axis = 2> (x, i) y = Gather <axis = 2> (r, j)"
    model = graph(nodes, {"i": np.array(3), "j": np.array(-2)})
    state = rewritten(model, MaskingOptions()).states["r"]
    assert isinstance(state, Spatial)
    assert state.axes == Axes(3, None, 2)
    feeds = image_and_mask()
    results = masked_run(model, feeds)
    cell = feeds["mask"][:, :, 3, -2]
    np.testing.assert_allclose(results["y"], seen(feeds)[:, :, 3, -2] * cell, atol=1e-6)
    np.testing.assert_array_equal(results["mask_coverage"], cell[:, 0])


def test_one_cell_may_be_expanded_over_a_map() -> None:
    nodes = "c = Conv (x, w) p = Expand (c, s) y = Sigmoid (p)"
    weights = {"w": np.full((4, CHANNELS, *SIZE), 0.01, np.float32), "s": vector(1, 1, 3, 2)}
    feeds = image_and_mask() | {"mask": np.zeros((3, 1, *SIZE), np.float32)}
    feeds["mask"][1, :, 2, 2] = 1
    shown = masked_run(graph(nodes, weights), feeds)["y"] != 0
    assert shown.shape == (3, 4, 3, 2)
    np.testing.assert_array_equal(shown.all(axis=(1, 2, 3)), [False, True, False])


def test_constants_joined_to_a_map_are_no_part_of_the_image() -> None:
    zeros = np.zeros((3, CHANNELS, 2, SIZE[1]), np.float32)
    joined = graph("p = Concat <axis = 2> (k, x) y = Conv (p, w)", {"k": zeros, "w": KERNEL})
    padded = graph("y = Conv <pads = [2, 0, 0, 0]> (x, w)", {"w": KERNEL})
    feeds = image_and_mask()
    first, second = (masked_run(model, feeds) for model in (joined, padded))
    np.testing.assert_allclose(first["y"], second["y"], atol=1e-5)
    np.testing.assert_array_equal(first["mask_coverage"], second["mask_coverage"])


FORMS = {
    9: "p = Slice <axes = [2, 3], starts = [1, 0], ends = [6, -1]> (x)",
    10: "p = Slice (x, starts, ends, axes)",
    13: "p = Slice (x, starts, ends, axes)",
}


@pytest.mark.parametrize(("opset", "form"), FORMS.items())
def test_every_version_of_slice_means_the_same(opset: int, form: str) -> None:
    operands = bounds(starts=(1, 0), ends=(6, -1), axes=(2, 3)) if "(x," in form else {}
    feeds = image_and_mask()
    got = masked_run(graph(f"{form} y = Sigmoid (p)", operands, opset=opset), feeds)["y"]
    expected = (feeds["mask"] / (1 + np.exp(-seen(feeds))))[:, :, 1:6, :-1]
    np.testing.assert_allclose(got, expected, atol=1e-6)


SPLITS = {
    9: "p, q = Split <axis = 3, split = [2, 3]> (x)",
    11: "p, q = Split <axis = -1, split = [2, 3]> (x)",
    13: "p, q = Split <axis = 3> (x, parts)",
    18: "p, q = Split <axis = 3, num_outputs = 2> (x)",
}


@pytest.mark.parametrize(("opset", "form"), SPLITS.items())
def test_every_version_of_split_gives_its_parts_of_the_mask(opset: int, form: str) -> None:
    operands = bounds(parts=(2, 3)) if "parts" in form else {}
    first = 3 if opset == 18 else 2
    feeds = image_and_mask()
    expected = feeds["mask"] / (1 + np.exp(-seen(feeds)))
    for name, part in (("p", expected[..., :first]), ("q", expected[..., first:])):
        model = graph(f"{form} y = Sigmoid ({name})", operands, opset=opset)
        np.testing.assert_allclose(masked_run(model, feeds)["y"], part, atol=1e-6)


REFUSED = {
    "batch slice": ("y = Slice (x, s, e, a)", bounds(s=(0,), e=(1,), a=(0,)), "batch"),
    "flipped batch": (
        "y = Slice (x, s, e, a, t)",
        bounds(s=(-1,), e=(LEAST,), a=(0,), t=(-1,)),
        "batch",
    ),
    "batch gather": ("y = Gather (x, i)", bounds(i=(0,)), "batch"),
    "table of rows": ("y = Gather <axis = 2> (x, i)", {"i": np.array([[0, 1]])}, "constant vector"),
    "computed": (
        (
            "m = ReduceMean <axes = [1, 2, 3], keepdims = 0> (x) i = Cast <to = 7> (m) "
            "y = Gather <axis = 2> (x, i)"
        ),
        {},
        "depend on the image",
    ),
    "tiled batch": ("y = Tile (x, r)", bounds(r=(2, 1, 1, 1)), "batch"),
    "tokens": (
        "t = Reshape (x, s) y = Slice (t, b, e, a)",
        bounds(s=(0, CHANNELS, -1), b=(1,), e=(9,), a=(2,)),
        "rows and columns",
    ),
    "joined batch": ("y = Concat <axis = 0> (x, x)", {}, "batch"),
    "split batch": ("y, z = Split <axis = 0> (x)", {}, "batch"),
    "joined pool": (
        "g = GlobalAveragePool (x) e = Expand (g, s) y = Concat <axis = 2> (x, e)",
        bounds(s=(1, 1, 1, SIZE[1])),
        "no map",
    ),
    "elements": (
        "y = GatherElements <axis = 2> (x, i)",
        {"i": np.zeros((1, 1, 1, 1), np.int64)},
        "GatherElements",
    ),
}


@pytest.mark.parametrize(("nodes", "operands", "reason"), REFUSED.values(), ids=REFUSED)
def test_picks_without_a_sound_rule_are_refused(
    nodes: str, operands: dict[str, Array], reason: str
) -> None:
    with pytest.raises(UnsupportedOperatorError, match=reason):
        layer_masked(graph(nodes, operands))


def test_a_pick_of_nothing_is_no_model() -> None:
    with pytest.raises(InvalidModelError, match="no tensor"):
        layer_masked(graph("y = Slice (x, s, e, a)", bounds(s=(3,), e=(3,), a=(2,))))


LAWFUL = {name: (nodes, operands) for name, (nodes, operands, _) in SELECTIONS.items()} | {
    "constants": ("p = Concat <axis = 3> (x, k)", {"k": np.ones((2, CHANNELS, 14, 2), np.float32)})
}


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize(("nodes", "operands"), LAWFUL.values(), ids=LAWFUL)
def test_selecting_networks_obey_the_laws(
    nodes: str, operands: dict[str, Array], mode: Mode
) -> None:
    if "parts" in operands:
        operands = bounds(parts=(2, 12))
    text = f"{nodes} c = Conv (p, w) y = GlobalAveragePool (c)"
    masks = np.zeros((2, 1, 14, 13), np.float32)
    masks[0, :, 4:6, 9:11] = 1
    masks[1, :, 1:5, 1:3] = 1
    model = graph(text, operands | {"w": KERNEL}, size=(14, 13))
    Laws(model, MaskingOptions(mode=mode), masks=masks).check()
