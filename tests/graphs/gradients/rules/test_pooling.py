from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

Check = Callable[..., None]

GEOMETRIES = [
    geometry
    for geometry in product((2, 3), (1, 2, 3), (0, 1), (False, True))
    if geometry[2] <= geometry[0] // 2
]


def attributes(kernel: int, stride: int, padding: int, *, ceil: bool) -> str:
    return (
        f"kernel_shape = [{kernel}, {kernel}], strides = [{stride}, {stride}], "
        f"pads = [{padding}, {padding}, {padding}, {padding}], ceil_mode = {int(ceil)}"
    )


@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_average_pools_agree_with_autograd(
    check: Check, geometry: tuple[int, int, int, bool], counted: bool
) -> None:
    kernel, stride, padding, ceil = geometry
    check(
        f"y = AveragePool <{attributes(kernel, stride, padding, ceil=ceil)},"
        f" count_include_pad = {int(counted)}> (x)",
        lambda x: F.avg_pool2d(x, kernel, stride, padding, ceil, counted),
        (2, 3, 8, 7),
        opset=22,  # earlier versions infer one window too many in ceil mode
    )


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_max_pools_agree_with_autograd(
    check: Check, geometry: tuple[int, int, int, bool], opset: int
) -> None:
    kernel, stride, padding, ceil = geometry
    check(
        f"y = MaxPool <{attributes(kernel, stride, padding, ceil=ceil)}> (x)",
        lambda x: F.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil),
        (2, 3, 8, 7),
        opset=opset,
    )


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (3, 1), (2, 2)])
def test_a_maximum_that_occurs_twice_sends_its_gradient_to_the_first(
    check: Check, rng: np.random.Generator, kernel: int, stride: int, opset: int
) -> None:
    few_levels = rng.integers(0, 3, (2, 3, 9, 9)).astype(np.float64)
    check(
        f"y = MaxPool <{attributes(kernel, stride, kernel // 2, ceil=False)}> (x)",
        lambda x: F.max_pool2d(x, kernel, stride, kernel // 2),
        few_levels,
        opset=opset,
    )


@pytest.mark.parametrize("opset", [13, 18])
def test_dilated_max_pools_agree_with_autograd(check: Check, opset: int) -> None:
    check(
        "y = MaxPool <kernel_shape = [3, 2], strides = [2, 1], dilations = [2, 3]> (x)",
        lambda x: F.max_pool2d(x, (3, 2), (2, 1), dilation=(2, 3)),
        (2, 3, 9, 8),
        opset=opset,
    )


def test_global_average_pools_agree_with_autograd(check: Check) -> None:
    check("y = GlobalAveragePool (x)", lambda x: x.mean((2, 3), keepdim=True), (2, 3, 4, 5))


def test_global_max_pools_send_the_gradient_to_the_first_maximum(
    check: Check, rng: np.random.Generator
) -> None:
    few_levels = rng.integers(0, 3, (2, 3, 4, 5)).astype(np.float64)
    check("y = GlobalMaxPool (x)", lambda x: F.adaptive_max_pool2d(x, 1), few_levels)


def test_sequences_are_pooled_too(check: Check) -> None:
    check(
        "y = AveragePool <kernel_shape = [3], strides = [2], pads = [1, 1]> (x)",
        lambda x: F.avg_pool1d(x, 3, 2, 1, count_include_pad=False),
        (2, 3, 9),
    )


def test_automatic_padding_of_pools_is_not_counted(check: Check) -> None:
    def oracle(x: torch.Tensor) -> torch.Tensor:
        ones = F.pad(torch.ones_like(x), (0, 1, 0, 1))
        return F.avg_pool2d(F.pad(x, (0, 1, 0, 1)), 3, 2) / F.avg_pool2d(ones, 3, 2)

    check(
        'y = AveragePool <auto_pad = "SAME_UPPER", kernel_shape = [3, 3], strides = [2, 2]> (x)',
        oracle,
        (2, 3, 8, 8),
    )
