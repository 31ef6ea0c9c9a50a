from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

Check = Callable[..., None]


@pytest.mark.parametrize("computed", [False, True])
def test_batch_norms_agree_with_autograd(
    check: Check, rng: np.random.Generator, computed: bool
) -> None:
    names = ("s", "b", "m", "v")
    parameters = {name: rng.uniform(0.5, 2, 3) for name in names}
    check(
        "y = BatchNormalization <epsilon = 0.001> (x, s, b, m, v)",
        lambda x, s, b, m, v: F.batch_norm(x, m, v, s, b, eps=0.001),
        (2, 3, 4, 5),
        **{"inputs" if computed else "constants": parameters},
    )


@pytest.mark.parametrize(("axis", "shape"), [(-1, (5,)), (2, (4, 5)), (1, (3, 4, 5))])
def test_layer_norms_agree_with_autograd(
    check: Check, rng: np.random.Generator, axis: int, shape: tuple[int, ...]
) -> None:
    check(
        f"y = LayerNormalization <axis = {axis}> (x, s, b)",
        lambda x, s, b: F.layer_norm(x, shape, s, b),
        (2, 3, 4, 5),
        constants={"s": rng.standard_normal(shape), "b": rng.standard_normal(shape)},
    )


def test_instance_norms_agree_with_autograd(check: Check, rng: np.random.Generator) -> None:
    check(
        "y = InstanceNormalization (x, s, b)",
        lambda x, s, b: F.instance_norm(x, weight=s, bias=b),
        (2, 3, 4, 5),
        constants={"s": rng.standard_normal(3), "b": rng.standard_normal(3)},
    )


def test_group_norms_agree_with_autograd(check: Check, rng: np.random.Generator) -> None:
    check(
        "y = GroupNormalization <num_groups = 2> (x, s, b)",
        lambda x, s, b: F.group_norm(x, 2, s, b),
        (2, 6, 4, 5),
        constants={"s": rng.standard_normal(6), "b": rng.standard_normal(6)},
        opset=21,
    )


@pytest.mark.parametrize("size", [1, 3, 5])
def test_local_response_norms_agree_with_autograd(check: Check, size: int) -> None:
    def oracle(x: torch.Tensor) -> torch.Tensor:
        return F.local_response_norm(x, size, alpha=0.5, beta=0.75, k=2.0)

    check(
        f"y = LRN <size = {size}, alpha = 0.5, beta = 0.75, bias = 2.0> (x)",
        oracle,
        (2, 6, 3, 4),
        single=True,
    )


@pytest.mark.parametrize(("operator", "p"), [("LpNormalization", 1), ("LpNormalization", 2)])
def test_unit_norms_agree_with_autograd(check: Check, operator: str, p: int) -> None:
    check(
        f"y = {operator} <axis = 1, p = {p}> (x)",
        lambda x: x / x.norm(p, 1, keepdim=True),
        (2, 5, 3),
        single=True,
    )


def test_standardisation_over_given_axes(check: Check) -> None:
    check(
        "y = MeanVarianceNormalization <axes = [2, 3]> (x)",
        lambda x: F.instance_norm(x, eps=0.0),
        (2, 3, 4, 5),
        single=True,
    )


@pytest.mark.parametrize(("opset", "axis"), [(11, 1), (11, 2), (13, 1), (13, -1)])
@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax"])
def test_softmaxes_agree_with_autograd(check: Check, operator: str, opset: int, axis: int) -> None:
    function = {"Softmax": F.softmax, "LogSoftmax": F.log_softmax}[operator]

    def oracle(x: torch.Tensor) -> torch.Tensor:
        if opset < 13:  # one distribution over all axes from `axis` on
            return function(x.flatten(axis), -1).reshape(x.shape)
        return function(x, axis)

    check(f"y = {operator} <axis = {axis}> (x)", oracle, (2, 3, 4), opset=opset, single=opset < 13)
