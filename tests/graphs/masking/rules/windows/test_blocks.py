"""Blocks of cells that become channels and back, in every form that exporters give them."""

import itertools

import numpy as np
import onnx_ir as ir
import pytest
import torch

from heatproof.evaluators.errors import UnsupportedOperatorError
from heatproof.graphs.masking import MaskingOptions, Mode, layer_masked
from tests.graphs.masking.laws import Laws
from tests.graphs.masking.readings import Geometry, fill
from tests.graphs.masking.single import CHANNELS, Array, graph, image_and_mask, masked_run, seen

SIZE = (12, 6)
BLOCK = 2
MODES = list(Mode)
WEIGHTS = np.random.default_rng(2).standard_normal((5, 4 * CHANNELS, 1, 1)).astype(np.float32)


def shapes(*targets: tuple[int, ...]) -> dict[str, Array]:
    return {name: np.array(shape, np.int64) for name, shape in zip("st", targets, strict=False)}


SPLIT = (0, CHANNELS, SIZE[0] // 2, 2, SIZE[1] // 2, 2)
SMALL = (0, 4 * CHANNELS, SIZE[0] // 2, SIZE[1] // 2)


def shuffled(order: tuple[int, ...]) -> str:
    return f"a = Reshape (x, s) b = Transpose <perm = {list(order)}> (a) p = Reshape (b, t)"


ORDERS = list(itertools.permutations((1, 3, 5)))


def focus() -> tuple[str, dict[str, Array]]:
    """The slices of YOLOX's first layer, one axis at a time."""
    parts = [
        f"r{i}{j} = Slice (x, from{i}, most, rows, two) "
        f"f{i}{j} = Slice (r{i}{j}, from{j}, most, columns, two)"
        for j, i in itertools.product((0, 1), repeat=2)
    ]
    operands = {
        "from0": [0], "from1": [1], "most": [2**63 - 1], "rows": [2], "columns": [-1], "two": [2],
    }  # fmt: skip
    joined = "p = Concat <axis = 1> (f00, f10, f01, f11)"
    return f"{' '.join(parts)} {joined}", {k: np.array(v, np.int64) for k, v in operands.items()}


def blocks_of(image: Array, order: tuple[int, ...]) -> Array:
    """Channels in the order of the axes [channel, row of the block, column of the block]."""
    count, channels, height, width = image.shape
    split = image.reshape(count, channels, height // 2, 2, width // 2, 2)
    return split.transpose(0, *order, 2, 4).reshape(count, -1, height // 2, width // 2)


GATHERED = {
    "operator": ("p = SpaceToDepth <blocksize = 2> (x)", {}, (3, 5, 1)),
    **{
        f"shuffle {order}": (shuffled((0, *order, 2, 4)), shapes(SPLIT, SMALL), order)
        for order in ORDERS
    },
    "focus": (*focus(), (5, 3, 1)),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("nodes", "operands", "order"), GATHERED.values(), ids=GATHERED)
def test_blocks_in_front_of_a_pointwise_convolution_are_a_strided_one(
    nodes: str, operands: dict[str, Array], order: tuple[int, ...], mode: Mode
) -> None:
    feeds = image_and_mask(SIZE)
    x, mask = seen(feeds), feeds["mask"]
    geometry = Geometry("22", "22", "11", "0000")
    filled = fill(x, mask, 1)
    point = WEIGHTS[:, :, 0, 0].astype(float)
    expected = np.einsum("ok,nkhw->nohw", point, blocks_of(filled, order)) * geometry.window(mask)
    model = graph(f"{nodes} y = Conv (p, w)", operands | {"w": WEIGHTS}, size=SIZE)
    got = masked_run(model, feeds, mode=mode)["y"]
    np.testing.assert_allclose(got, expected, atol=2e-5 * np.abs(expected).max())
    # The same weights as a kernel of 2 x 2.
    sizes = [CHANNELS if axis == 1 else 2 for axis in order]
    kernel = WEIGHTS.reshape(5, *sizes).transpose(0, *(1 + np.argsort(order)))
    strided = graph("y = Conv <strides = [2, 2]> (x, w)", {"w": kernel}, size=SIZE)
    np.testing.assert_allclose(
        got, masked_run(strided, feeds, mode=mode)["y"], atol=2e-5 * np.abs(expected).max()
    )


def test_rearrangements_do_what_they_did_before() -> None:
    feeds = image_and_mask(SIZE)
    everything = feeds | {"mask": np.ones_like(feeds["mask"])}
    for nodes, operands, order in GATHERED.values():
        got = masked_run(graph(nodes.replace("p = ", "y = "), operands, size=SIZE), everything)
        np.testing.assert_allclose(got["y"], blocks_of(seen(feeds), order), atol=1e-5)


THICK = (0, 2, 2, CHANNELS // 4, *SIZE)
DEEP = (0, CHANNELS // 4, 2, 2, *SIZE)
LARGE = (0, CHANNELS // 4, 2 * SIZE[0], 2 * SIZE[1])
SPREAD = {
    "operator": ("p = DepthToSpace <blocksize = 2> (x)", {}, False),
    "operator, channels first": ('p = DepthToSpace <blocksize = 2, mode = "CRD"> (x)', {}, True),
    "depth first": (shuffled((0, 3, 4, 1, 5, 2)), shapes(THICK, LARGE), False),
    "pixel shuffle": (shuffled((0, 1, 4, 2, 5, 3)), shapes(DEEP, LARGE), True),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("nodes", "operands", "by_channel"), SPREAD.values(), ids=SPREAD)
def test_a_cell_becomes_a_block_as_visible_as_it_is(
    *, nodes: str, operands: dict[str, Array], by_channel: bool, mode: Mode
) -> None:
    feeds = image_and_mask(SIZE)
    x = torch.from_numpy(seen(feeds))
    if not by_channel:
        x = x.reshape(3, 4, CHANNELS // 4, *SIZE).transpose(1, 2).reshape(x.shape)
    large = torch.pixel_shuffle(x, 2).numpy()
    shown = feeds["mask"].repeat(2, axis=2).repeat(2, axis=3)
    model = graph(f"{nodes} y = Sigmoid (p)", operands, size=SIZE)
    got = masked_run(model, feeds, mode=mode)["y"]
    np.testing.assert_allclose(got, shown / (1 + np.exp(-large)), atol=1e-6)


LOOKALIKES = {
    "rows swapped": (shuffled((0, 1, 3, 5, 4, 2)), shapes(SPLIT, (*SMALL[:2], 3, 6))),
    "merged back": (shuffled((0, 1, 2, 3, 4, 5)), shapes(SPLIT, (0, CHANNELS, *SIZE))),
}


@pytest.mark.parametrize(("nodes", "operands"), LOOKALIKES.values(), ids=LOOKALIKES)
def test_other_rearrangements_of_six_axes_are_not_mistaken_for_blocks(
    nodes: str, operands: dict[str, Array]
) -> None:
    model = graph(nodes.replace("p = ", "y = "), operands, size=SIZE)
    with pytest.raises(UnsupportedOperatorError, match="mixes spatial"):
        layer_masked(model)


def test_slices_that_are_no_full_set_of_blocks_vote() -> None:
    nodes, operands = focus()
    twice = nodes.replace("(f00, f10, f01, f11)", "(f00, f10, f01, f01)")
    rewritten_types = [node.op_type for node in layer_masked(_network(twice, operands)).graph]
    assert "SpaceToDepth" not in rewritten_types
    Laws(_network(twice, operands)).check()


def _network(nodes: str, operands: dict[str, Array]) -> ir.Model:
    used = {name: array for name, array in operands.items() if name in nodes}
    text = f"{nodes} c = Conv (p, w) y = GlobalAveragePool (c)"
    return graph(text, used | {"w": WEIGHTS}, size=(24, 18))


@pytest.mark.parametrize("mode", MODES)
def test_networks_of_blocks_obey_the_laws(mode: Mode) -> None:
    nodes, operands = focus()
    Laws(_network(nodes, operands), MaskingOptions(mode=mode)).check()
    deep = (
        "d = DepthToSpace <blocksize = 2> (x) s = SpaceToDepth <blocksize = 4> (d) "
        "p = Conv (s, k) y = GlobalAveragePool (p)"
    )
    kernel = np.ones((4, 4 * CHANNELS, 3, 3), np.float32)
    Laws(graph(deep, {"k": kernel}, size=(16, 16)), MaskingOptions(mode=mode)).check()
