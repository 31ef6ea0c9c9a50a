"""Rows that a graph draws itself are those that are drawn for it, to the last bit."""

from collections import Counter

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heatproof.evaluators.errors import UnsupportedModelError
from heatproof.evaluators.images.compositions import Composition
from heatproof.graphs.composition import IMAGES, composed
from heatproof.graphs.files.saving import to_bytes
from heatproof.graphs.runtime.telling import DeviceImages, cells_of, told_masks, told_rows
from tests.graphs.conftest import parse

SIDES = st.integers(1, 23)
SHOWING = """
<ir_version: 10, opset_import: ["" : 11]>
g (float[N, 3, {height}, {width}] image, float[N, 1, {height}, {width}] mask)
    => (float[N, 3, {height}, {width}] shown, float[N, 1, {height}, {width}] visible)
{{ shown = Add (image, zero) visible = Add (mask, zero) }}
""".replace("{{ ", "<float zero = {{0}}> {{ ")


def network(height: int, width: int) -> ir.Model:
    return ir.from_proto(parse(SHOWING.format(height=height, width=width)))


@st.composite
def masks(draw: st.DrawFn) -> np.ndarray:
    """Those of regular and irregular grids, and of single pixels."""
    batch, height, width = draw(st.integers(1, 5)), draw(SIDES), draw(SIDES)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    down, across = draw(st.integers(1, height)), draw(st.integers(1, width))
    rows = np.sort(rng.integers(0, down, height))
    columns = np.sort(rng.integers(0, across, width))
    visible: np.ndarray = rng.random((batch, down, across)) < 0.5
    return visible[:, rows[:, None], columns]


@given(masks())
def test_masks_are_told_by_their_cells(told: np.ndarray) -> None:
    cells, rows, columns = cells_of(told)
    assert (cells[:, 0][:, rows[:, None], columns] == told).all()


@pytest.mark.parametrize("cells", [(1, 1), (3, 2), (7, 7), (14, 5)])
def test_a_mask_of_a_grid_takes_no_more_cells_than_the_grid_rounded_up(
    cells: tuple[int, int],
) -> None:
    visible = np.indices(cells).sum(axis=0) % 2 == 0
    rows, columns = (np.arange(97) * count // 97 for count in cells)
    found, _, _ = cells_of(visible[np.newaxis, rows[:, None], columns])
    side = 2 ** int(np.ceil(np.log2(max(cells))))
    assert found.shape == (1, 1, side, side)


@st.composite
def batches(draw: st.DrawFn) -> tuple[Composition, ...]:
    """Rows of few images and backdrops, pixels and colours among them, with and without a mask."""
    height, width, rows = draw(SIDES), draw(SIDES), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    images = [rng.random((3, height, width), np.float32) for _ in range(2)]
    colours = [rng.random((3, 1, 1), np.float32) for _ in range(2)]
    backdrops = colours if draw(st.booleans()) else [*images, *colours]

    def row() -> Composition:
        image = draw(st.sampled_from(images))
        if draw(st.integers(0, 3)) == 0:
            return Composition(image)
        mask: np.ndarray = rng.random((height, width)) < 0.5
        return Composition(image, mask, draw(st.sampled_from(backdrops)))

    return tuple(row() for _ in range(rows))


def by_hand(row: Composition) -> np.ndarray:
    """Pixel by pixel."""
    shown = row.image.copy()
    behind = np.broadcast_to(row.behind, shown.shape)
    if row.mask is not None:
        for place in np.argwhere(~row.mask):
            shown[:, place[0], place[1]] = behind[:, place[0], place[1]]
    return shown


@given(batches(), st.integers(0, 99))
def test_a_graph_draws_what_is_told(rows: tuple[Composition, ...], seed: int) -> None:
    height, width = rows[0].image.shape[1:]
    mask = np.random.default_rng(seed).random((len(rows), height, width)) < 0.5
    session = ort.InferenceSession(to_bytes(composed(network(height, width), "image")))
    feeds = {**told_rows(rows, DeviceImages("cpu")), **told_masks(mask)}
    shown, visible = map(np.asarray, session.run(["shown", "visible"], feeds))
    assert shown.tobytes() == np.stack([by_hand(row) for row in rows]).tobytes()
    assert visible.tobytes() == mask[:, np.newaxis].astype(np.float32).tobytes()


def test_only_the_batch_is_a_size_of_several_inputs() -> None:
    made = composed(network(4, 6), "image").graph
    names = [str(size) for value in made.inputs for size in {*(value.shape or ())}]
    named = Counter(name for name in names if not name.isdigit())
    assert {name for name, count in named.items() if count > 1} == {"N"}


def test_a_model_that_draws_its_images_already_is_refused() -> None:
    once = composed(network(4, 4), "image")
    assert IMAGES in {value.name for value in once.graph.inputs}
    once.graph.inputs.append(ir.val("image", ir.DataType.FLOAT, ir.Shape(["N", 3, 4, 4])))
    with pytest.raises(UnsupportedModelError, match="views/images"):
        composed(once, "image")


def test_an_image_is_handed_over_once() -> None:
    held, (one, other) = DeviceImages("cpu"), np.random.default_rng(0).random((2, 3, 4, 4), "f")
    first = held.stacked([one])
    assert held.stacked([one]) is first
    assert held.stacked([other]) is not first
    assert held.stacked([one, other]) is not first
    assert held.stacked([one]) is first
    assert (held.stacked([other]).numpy() == other).all()


def test_an_image_that_is_made_anew_is_handed_over_again() -> None:
    """Its array may lie where the one before it lay."""
    held, pixels = DeviceImages("cpu"), np.random.default_rng(0).random((50, 3, 4, 4), np.float32)
    for image in range(50):
        made = pixels[image].copy()
        assert (held.stacked([made]).numpy() == made).all()
        del made


def test_what_was_shown_least_recently_leaves_first() -> None:
    a, b, c = np.zeros((3, 3, 2, 2), np.float32)
    held = DeviceImages("cpu", most_bytes=2 * a.nbytes)
    images = [a, b, c]
    first, second = held.stacked(images[:1]), held.stacked(images[1:2])
    assert held.stacked(images[:1]) is first
    held.stacked(images[2:])
    assert held.stacked(images[:1]) is first
    assert held.stacked(images[1:2]) is not second
