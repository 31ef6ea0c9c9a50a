from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch.nn.functional as F  # noqa: N812 - its usual name

Check = Callable[..., None]

GEOMETRIES = [
    geometry
    for geometry in product((1, 3, 4), (1, 2, 3), (0, 1, 3), (1, 2), (1, 2))
    if geometry[2] < 2 * geometry[0]
]


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_convolutions_agree_with_autograd(
    check: Check, rng: np.random.Generator, geometry: tuple[int, ...]
) -> None:
    kernel, stride, padding, dilation, groups = geometry
    weights = rng.standard_normal((6, 4 // groups, kernel, kernel))
    check(
        f"y = Conv <strides = [{stride}, {stride}], pads = {[padding] * 4},"
        f" dilations = [{dilation}, {dilation}], group = {groups}> (x, w, b)",
        lambda x, w, b: F.conv2d(x, w, b, stride, padding, dilation, groups),
        (2, 4, 9, 8),
        constants={"w": weights, "b": rng.standard_normal(6)},
    )


@pytest.mark.parametrize("stride", [1, 2])
def test_axes_may_differ_and_paddings_be_lopsided(
    check: Check, rng: np.random.Generator, stride: int
) -> None:
    weights = rng.standard_normal((5, 3, 3, 2))
    check(
        f"y = Conv <strides = [{stride}, 3], pads = [2, 0, 1, 3]> (x, w)",
        lambda x, w: F.conv2d(F.pad(x, (0, 3, 2, 1)), w, None, (stride, 3)),
        (2, 3, 7, 10),
        constants={"w": weights},
    )


@pytest.mark.parametrize("padding", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("stride", [1, 2])
def test_automatic_padding_puts_the_odd_rest_where_it_says(
    check: Check, rng: np.random.Generator, padding: str, stride: int
) -> None:
    pads = {
        ("SAME_UPPER", 1): (1, 2, 1, 2),
        ("SAME_LOWER", 1): (2, 1, 2, 1),
        ("SAME_UPPER", 2): (1, 1, 1, 1),
        ("SAME_LOWER", 2): (1, 1, 1, 1),
    }.get((padding, stride), (0, 0, 0, 0))
    check(
        f'y = Conv <auto_pad = "{padding}", strides = [{stride}, {stride}]> (x, w)',
        lambda x, w: F.conv2d(F.pad(x, pads), w, None, stride),
        (1, 2, 8, 8),
        constants={"w": rng.standard_normal((3, 2, 4, 4))},
    )


def test_an_odd_automatic_padding_with_stride(check: Check, rng: np.random.Generator) -> None:
    check(
        'y = Conv <auto_pad = "SAME_UPPER", strides = [2, 2]> (x, w)',
        lambda x, w: F.conv2d(F.pad(x, (0, 1, 0, 1)), w, None, 2),
        (1, 2, 8, 8),
        constants={"w": rng.standard_normal((3, 2, 3, 3))},
    )


@pytest.mark.parametrize("stride", [1, 2])
def test_sequences_and_volumes_have_gradients(
    check: Check, rng: np.random.Generator, stride: int
) -> None:
    check(
        f"y = Conv <strides = [{stride}], pads = [1, 1]> (x, w)",
        lambda x, w: F.conv1d(x, w, None, stride, 1),
        (2, 3, 9),
        constants={"w": rng.standard_normal((4, 3, 3))},
    )


@pytest.mark.parametrize(
    "geometry",
    [
        (3, 2, 1, 1, 1, 1),
        (2, 2, 0, 0, 1, 1),
        (4, 2, 1, 0, 1, 2),
        (3, 1, 1, 0, 2, 1),
        (3, 3, 0, 2, 1, 2),
    ],
)
def test_transposed_convolutions_agree_with_autograd(
    check: Check, rng: np.random.Generator, geometry: tuple[int, ...]
) -> None:
    kernel, stride, padding, extra, dilation, groups = geometry
    check(
        f"y = ConvTranspose <strides = [{stride}, {stride}], group = {groups},"
        f" pads = {[padding] * 4}, dilations = [{dilation}, {dilation}],"
        f" output_padding = [{extra}, {extra}]> (x, w)",
        lambda x, w: F.conv_transpose2d(x, w, None, stride, padding, extra, groups, dilation),
        (2, 4, 5, 4),
        constants={"w": rng.standard_normal((4, 6 // groups, kernel, kernel))},
    )


@pytest.mark.parametrize("stride", [1, 2])
def test_computed_weights_need_not_be_constant(
    check: Check, rng: np.random.Generator, stride: int
) -> None:
    check(
        f"y = Conv <strides = [{stride}, {stride}]> (x, w)",
        lambda x, w: F.conv2d(x, w, None, stride),
        (2, 3, 7, 7),
        inputs={"w": rng.standard_normal((4, 3, 3, 3))},
    )
