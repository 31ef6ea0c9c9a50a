"""Where reshapes, transpositions and broadcasts put the spatial axes."""

import numpy as np
import pytest

from heatproof.evaluators.errors import UnsupportedOperatorError
from heatproof.graphs.masking import MaskingOptions, layer_masked
from heatproof.graphs.masking.rewriting import rewritten
from heatproof.graphs.masking.states import NCHW, Axes, Spatial
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

ROWS, COLUMNS = SIZE
CELLS = ROWS * COLUMNS

LAYOUTS = {
    "merged": ("y = Reshape (x, s)", [0, CHANNELS, CELLS], Axes(3, 2, 2)),
    "tokens": (
        "m = Reshape (x, s) y = Transpose <perm = [0, 2, 1]> (m)",
        [0, CHANNELS, CELLS],
        Axes(3, 1, 1),
    ),
    "unmerged": (
        "r = Reshape (x, s) y = Reshape (r, back)",
        [0, CHANNELS, CELLS],
        NCHW,
    ),
    "groups": ("y = Reshape (x, s)", [0, 2, 4, ROWS, COLUMNS], Axes(5, 3, 4)),
    "merged groups": ("y = Reshape (x, s)", [0, 2, 4, CELLS], Axes(4, 3, 3)),
    "channels last, merged": (
        "t = Transpose <perm = [0, 2, 3, 1]> (x) y = Reshape (t, s)",
        [0, CELLS, 2, 4],
        Axes(4, 1, 1),
    ),
    "columns first": (
        "t = Transpose <perm = [0, 3, 1, 2]> (x) y = Reshape (t, s)",
        [0, COLUMNS, 2, 4, ROWS],
        Axes(5, 4, 1),
    ),
}


@pytest.mark.parametrize(("nodes", "shape", "axes"), LAYOUTS.values(), ids=LAYOUTS)
def test_reshapes_carry_the_mask_to_their_layout(nodes: str, shape: list[int], axes: Axes) -> None:
    weights = {"s": np.array(shape, np.int64)}
    if "back" in nodes:
        weights["back"] = np.array([0, CHANNELS, ROWS, COLUMNS], np.int64)
    # A sigmoid tells hidden cells, which an output shows as zeros, from visible ones.
    model = graph(nodes.replace("y =", "z =") + " y = Sigmoid (z)", weights)
    feeds = image_and_mask()
    state = rewritten(model, MaskingOptions()).states["y_unmasked"]
    assert isinstance(state, Spatial)
    assert state.axes == axes
    plain = 1 / (1 + np.exp(-seen(feeds))) * feeds["mask"]
    moved = plain if "Transpose" not in nodes or "back" in nodes else _transposed(plain, nodes)
    got = masked_run(model, feeds)["y"]
    np.testing.assert_allclose(got, moved.reshape(got.shape), atol=1e-6)


def _transposed(array: np.ndarray, nodes: str) -> np.ndarray:
    text = nodes.partition("perm = [")[2].partition("]")[0]
    order = [int(axis) for axis in text.split(",")]
    if len(order) == 3:
        array = array.reshape(*array.shape[:2], -1)
    return array.transpose(order)


@pytest.mark.parametrize(
    ("nodes", "shape"),
    [
        ("y = Reshape (x, s)", [0, CHANNELS * ROWS, COLUMNS]),
        ("y = Reshape (x, s)", [0, CELLS, CHANNELS]),
        ("y = Reshape (x, s)", [-1, 4, ROWS, COLUMNS]),
        ("t = Transpose <perm = [0, 1, 3, 2]> (x) y = Reshape (t, s)", [0, CHANNELS, CELLS]),
        ("t = Transpose <perm = [0, 2, 1, 3]> (x) y = Reshape (t, s)", [0, CELLS, CHANNELS]),
    ],
)
def test_reshapes_that_tear_cells_apart_are_refused(nodes: str, shape: list[int]) -> None:
    with pytest.raises(UnsupportedOperatorError, match=r"mixes spatial|moves the batch"):
        layer_masked(graph(nodes, {"s": np.array(shape, np.int64)}))


def test_one_channel_flattened_may_return_to_its_places() -> None:
    nodes = (
        "c = Conv (x, one) f = Reshape (c, flat) g = Sigmoid (f) m = Reshape (g, back) "
        "a = Mul (x, m) y = GlobalAveragePool (a)"
    )
    weights: dict[str, Array] = {
        "one": np.full((1, CHANNELS, 1, 1), 0.1, np.float32),
        "flat": np.array([0, -1], np.int64),
        "back": np.array([-1, 1, ROWS, COLUMNS], np.int64),
    }
    feeds = image_and_mask()
    x, mask = seen(feeds), feeds["mask"]
    gate = 1 / (1 + np.exp(-0.1 * x.sum(axis=1, keepdims=True)))
    expected = (x * gate * mask).sum(axis=(2, 3)) / mask.sum(axis=(2, 3))
    got = masked_run(graph(nodes, weights), feeds)["y"]
    np.testing.assert_allclose(got[:, :, 0, 0], expected, atol=1e-5)
    Laws(graph(nodes, weights)).check()


SHUFFLE = (
    "g = Reshape (x, split) t = Transpose <perm = [0, 2, 1, 3, 4]> (g) s = Reshape (t, joined) "
    "a = Unsqueeze (s, first) b = Unsqueeze (x, first) p = Concat <axis = 1> (a, b) "
    "r = ReduceMean <axes = [1], keepdims = 0> (p) y = GlobalAveragePool (r)"
)


def test_groups_paths_and_shuffles_keep_the_mask() -> None:
    weights = {
        "split": np.array([0, 2, 4, ROWS, COLUMNS], np.int64),
        "joined": np.array([0, CHANNELS, ROWS, COLUMNS], np.int64),
        "first": np.array([1], np.int64),
    }
    feeds = image_and_mask()
    x, mask = seen(feeds), feeds["mask"]
    shuffled = x.reshape(3, 2, 4, *SIZE).transpose(0, 2, 1, 3, 4).reshape(x.shape)
    mean = ((x + shuffled) / 2 * mask).sum(axis=(2, 3)) / mask.sum(axis=(2, 3))
    got = masked_run(graph(SHUFFLE, weights), feeds)["y"]
    np.testing.assert_allclose(got[:, :, 0, 0], mean, atol=1e-5)
    Laws(graph(SHUFFLE, weights)).check()


@pytest.mark.parametrize(
    ("one", "other", "joint"),
    [
        (NCHW, NCHW, NCHW),
        (Axes(4, None, 3), NCHW, NCHW),
        (NCHW, Axes(4, 2, None), NCHW),
        (Axes(4, None, 3), Axes(4, 2, None), NCHW),
        (NCHW, Axes(4, 1, 2), None),
        (NCHW, Axes(3, 1, 2), None),
        (Axes(3, 2, 2), Axes(3, 2, 2), Axes(3, 2, 2)),
        (Axes(3, 2, None), Axes(3, None, 2), None),
    ],
)
def test_axes_of_operands_must_not_contradict_each_other(
    one: Axes, other: Axes, joint: Axes | None
) -> None:
    assert one.joined(other) == joint
    assert other.joined(one) == joint


def test_an_operand_with_a_row_for_one_is_refused() -> None:
    weights = {
        "rows": np.ones((1, 1, ROWS, 1), np.float32),
        "w": np.ones((CHANNELS, 1, *SIZE), np.float32),
    }
    nodes = f"c = Conv <group = {CHANNELS}> (x, w) y = Add (c, rows)"
    with pytest.raises(UnsupportedOperatorError, match="repeats a row"):
        layer_masked(graph(nodes, weights))
