"""The window rule against a slow reading of its definition, and against ONNX Runtime's shapes."""

import itertools
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from heatproof.graphs.masking import layer_masked
from heatproof.graphs.operators.windows import PlaneWindow, window_of

Array = NDArray[Any]
SOURCE = (11, 8)


def slid(mask: Array, window: PlaneWindow) -> Array:
    """Visible where the window holds a visible image cell, or no image cell at all."""
    height, width = window.target
    result = np.zeros((height, width), np.float32)
    for i, j in itertools.product(range(height), range(width)):
        cells = [
            mask[y, x]
            for a, b in itertools.product(range(window.kernel[0]), range(window.kernel[1]))
            if (y := i * window.strides[0] - window.begins[0] + a * window.dilations[0]) >= 0
            and y < mask.shape[0]
            and (x := j * window.strides[1] - window.begins[1] + b * window.dilations[1]) >= 0
            and x < mask.shape[1]
        ]
        result[i, j] = not cells or max(cells)
    return result


def model(text: str) -> ir.Model:
    return ir.from_onnx_text(
        f"""<ir_version: 9, opset_import: ["": 17]>
        g (float[2, 1, {SOURCE[0]}, {SOURCE[1]}] image) => (float[2, 1, h, w] y)
        <float[1, 1, 3, 2] k32 = {{1, 1, 1, 1, 1, 1}}, float[1, 1, 1, 1] k11 = {{1}},
         float[1, 1, 2, 3] k23 = {{1, 1, 1, 1, 1, 1}}> {{ {text} }}"""
    )


ATTRIBUTES = [
    "",
    "strides = [2, 3]",
    "dilations = [2, 1], pads = [2, 0, 1, 1]",
    "pads = [1, 1, 1, 1], strides = [2, 2]",
    "pads = [3, 4, 3, 2], dilations = [3, 4]",
    'auto_pad = "SAME_UPPER", strides = [2, 2]',
    'auto_pad = "SAME_LOWER", strides = [3, 2]',
    'auto_pad = "VALID", strides = [2, 1]',
    "pads = [4, 5, 6, 5], strides = [3, 3]",
]
CONVOLUTIONS = [
    f"Conv <{a}> (image, {k})".replace(" <>", "") for a in ATTRIBUTES for k in ("k32", "k11", "k23")
]
POOLS = [
    f"{pool} <kernel_shape = [3, 2]{a}> (image)"
    for pool in ("MaxPool", "AveragePool")
    for a in (
        "",
        ", strides = [2, 3]",
        ", strides = [2, 2], ceil_mode = 1",
        ", strides = [3, 3], pads = [1, 1, 2, 1], ceil_mode = 1",
        ", pads = [2, 1, 0, 1], strides = [1, 2]",
        ', auto_pad = "SAME_UPPER", strides = [2, 2]',
        ', auto_pad = "SAME_LOWER", strides = [2, 2]',
    )
]

KERNELS = {"k32": (3, 2), "k11": (1, 1), "k23": (2, 3)}


@pytest.mark.parametrize("text", CONVOLUTIONS + POOLS)
def test_masks_follow_the_windows_of_the_operator(text: str, load: Any) -> None:
    plain = model(f"y = {text}")
    node = plain.graph.node(0)
    kernel = tuple(node.attributes.get_ints("kernel_shape", ())) or KERNELS[text[-4:-1]]
    window = window_of(node, SOURCE, (kernel[0], kernel[1]))
    rng = np.random.default_rng(0)
    mask = (rng.random((2, 1, *SOURCE)) < 0.1).astype(np.float32)
    image = rng.random((2, 1, *SOURCE)).astype(np.float32) + 1
    # A spatial output shows 0 where it is hidden; a bias keeps visible cells apart from 0.
    run = load(
        layer_masked(model(f"v = {text} one = Constant <value_float = 1.0> () y = Add (v, one)"))
    )
    shown = run(image=image, mask=mask)["y"]
    expected = np.stack([slid(one[0], window) for one in mask])
    assert shown.shape[2:] == window.target
    np.testing.assert_array_equal(shown[:, 0] != 0, expected == 1)


def test_windows_know_their_cells() -> None:
    window = PlaneWindow((3, 1), (2, 1), (2, 1), (2, 0), (5, 2), (3, 2))
    np.testing.assert_array_equal(
        window.incidence(0), [[1, 0, 1, 0, 0][:5], [1, 0, 1, 0, 1], [0, 0, 1, 0, 1]]
    )
    np.testing.assert_array_equal(window.counts(), [[2, 2], [3, 3], [2, 2]])
    assert window.ends == (2, 0)
