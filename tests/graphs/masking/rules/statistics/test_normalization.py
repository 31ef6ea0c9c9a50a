"""Normalisations against NumPy's statistics of the visible cells."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from heatproof.evaluators.errors import UnsupportedOperatorError
from heatproof.graphs.masking import MaskingOptions, Mode, layer_masked
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

EPSILON = 1e-3
SCALE = np.linspace(0.5, 2, CHANNELS).astype(np.float32)
BIAS = np.linspace(-1, 1, CHANNELS).astype(np.float32)
PER_CHANNEL = {"scale": SCALE, "bias": BIAS}


def normal(
    x: Array, mask: Array, axes: tuple[int, ...], epsilon: float = EPSILON, *, centre: bool = True
) -> Array:
    """(x - mean) / sqrt(variance + epsilon) with the statistics of the visible cells."""
    shown = np.ma.masked_array(x, np.broadcast_to(mask == 0, x.shape))
    mean = np.ma.filled(shown.mean(axes, keepdims=True), 0) if centre else 0
    square = np.ma.filled(((shown - mean) ** 2).mean(axes, keepdims=True), 0)
    return np.asarray((x - mean) / np.sqrt(square + epsilon))


def grouped(x: Array, mask: Array, groups: int) -> Array:
    apart = x.reshape(len(x), groups, -1, *x.shape[2:])
    return normal(apart, mask[:, None], (2, 3, 4)).reshape(x.shape)


def columns(parameter: Array) -> Array:
    return parameter[:, None, None]


def assert_masked(got: Array, expected: Array, mask: Array) -> None:
    np.testing.assert_allclose(got, expected * mask, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("opset", [9, 17, 22])
def test_instance_normalization_takes_statistics_of_visible_cells(opset: int, mode: Mode) -> None:
    text = f"y = InstanceNormalization <epsilon = {EPSILON}> (x, scale, bias)"
    feeds = image_and_mask()
    got = masked_run(graph(text, PER_CHANNEL, opset=opset), feeds, mode=mode)["y"]
    expected = normal(seen(feeds), feeds["mask"], (2, 3)) * columns(SCALE) + columns(BIAS)
    assert_masked(got, expected, feeds["mask"])


@pytest.mark.parametrize(("opset", "size"), [(18, 4), (21, CHANNELS)])
@pytest.mark.parametrize("groups", [1, 2, 4, 8])
def test_group_normalization_takes_statistics_of_visible_cells(
    opset: int, size: int, groups: int
) -> None:
    size = groups if opset == 18 else size
    text = f"y = GroupNormalization <epsilon = {EPSILON}, num_groups = {groups}> (x, scale, bias)"
    scale, bias = SCALE[:size], BIAS[:size]
    feeds = image_and_mask()
    got = masked_run(graph(text, {"scale": scale, "bias": bias}, opset=opset), feeds)["y"]
    scales, biases = (np.repeat(one, CHANNELS // size) for one in (scale, bias))
    expected = grouped(seen(feeds), feeds["mask"], groups) * columns(scales) + columns(biases)
    assert_masked(got, expected, feeds["mask"])


RESHAPED = (
    f"r = Reshape (x, groups) n = InstanceNormalization <epsilon = {EPSILON}> (r, ones, zeros) "
    "b = Reshape (n, back) s = Mul (b, scale) y = Add (s, bias)"
)


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_reshaped_instance_normalization_is_group_normalization(groups: int) -> None:
    weights: dict[str, Array] = {
        "groups": np.array([0, groups, -1], np.int64),
        "back": np.array([0, CHANNELS, *SIZE], np.int64),
        "ones": np.ones(groups, np.float32),
        "zeros": np.zeros(groups, np.float32),
        "scale": columns(SCALE),
        "bias": columns(BIAS),
    }
    feeds = image_and_mask()
    got = masked_run(graph(RESHAPED, weights), feeds)["y"]
    expected = grouped(seen(feeds), feeds["mask"], groups) * columns(SCALE) + columns(BIAS)
    assert_masked(got, expected, feeds["mask"])


@pytest.mark.parametrize(
    ("axis", "axes"), [(1, (1, 2, 3)), (2, (2, 3)), (-1, (3,)), (-3, (1, 2, 3))]
)
@pytest.mark.parametrize("op_type", ["LayerNormalization", "RMSNormalization"])
def test_layer_normalization_over_space_takes_statistics_of_visible_cells(
    op_type: str, axis: int, axes: tuple[int, ...]
) -> None:
    rms = op_type == "RMSNormalization"
    shape = [(CHANNELS, *SIZE)[one - 1] for one in axes]
    rng = np.random.default_rng(3)
    weights = {"scale": rng.standard_normal(shape).astype(np.float32)}
    if not rms:
        weights["bias"] = rng.standard_normal(shape).astype(np.float32)
    text = f"y = {op_type} <axis = {axis}, epsilon = {EPSILON}> (x, {', '.join(weights)})"
    feeds = image_and_mask()
    got = masked_run(graph(text, weights, opset=23), feeds)["y"]
    expected = normal(seen(feeds), feeds["mask"], axes, centre=not rms) * weights["scale"]
    assert_masked(got, expected + weights.get("bias", np.float32(0)), feeds["mask"])


@pytest.mark.parametrize("op_type", ["LayerNormalization", "RMSNormalization"])
def test_layer_normalization_over_channels_keeps_the_mask(op_type: str) -> None:
    text = (
        f"t = Transpose <perm = [0, 2, 3, 1]> (x) n = {op_type} <epsilon = {EPSILON}> (t, scale) "
        "y = Transpose <perm = [0, 3, 1, 2]> (n)"
    )
    feeds = image_and_mask()
    model = graph(text, {"scale": SCALE}, opset=23)
    everything = np.ones_like(feeds["mask"])
    expected = normal(seen(feeds), everything, (1,), centre=op_type[0] == "L") * columns(SCALE)
    assert_masked(masked_run(model, feeds)["y"], expected, feeds["mask"])
    ops = [node.op_type for node in layer_masked(model).graph]
    assert ops.count(op_type) == 1
    Laws(model).hidden_cells_are_irrelevant()


@pytest.mark.parametrize("opset", [9, 13])
@pytest.mark.parametrize("axes", [(2, 3), (1, 2, 3), (1,)], ids=str)
def test_mean_variance_normalization_takes_statistics_of_visible_cells(
    axes: tuple[int, ...], opset: int
) -> None:
    text = f"y = MeanVarianceNormalization <axes = {list(axes)}> (x)"
    feeds = image_and_mask()
    got = masked_run(graph(text, opset=opset), feeds)["y"]
    assert_masked(got, normal(seen(feeds), feeds["mask"], axes, 1e-20), feeds["mask"])


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("axis", [1, 2])
def test_lp_normalization_divides_by_the_norm_of_visible_cells(
    axis: int, mode: Mode, power: int
) -> None:
    merged = (
        f"m = Reshape (x, cells) y = LpNormalization <axis = {axis}, p = {power}> (m)",
        {"cells": np.array([0, CHANNELS, -1], np.int64)},
    )
    feeds = image_and_mask()
    mask = feeds["mask"].reshape(3, 1, -1)
    x = seen(feeds).reshape(3, CHANNELS, -1)
    shown = x if axis == 1 else x * mask
    norm = (abs(shown) ** power).sum(axis=axis, keepdims=True) ** (1 / power)
    if mode is Mode.STRICT and axis == 2:
        norm = norm / mask.mean(axis=2, keepdims=True) ** (1 / power)
    got = masked_run(graph(*merged), feeds, mode=mode)["y"]
    assert_masked(got, x / norm, mask)


@pytest.mark.parametrize(
    "text",
    [
        "y = MeanVarianceNormalization (x)",
        "y = MeanVarianceNormalization <axes = [0, 1, 2, 3]> (x)",
        "y = LayerNormalization <axis = 0> (x, s)",
        "y = LpNormalization <axis = 0> (x)",
    ],
)
def test_statistics_that_mix_images_are_refused(text: str) -> None:
    weights = {"s": np.ones((3, CHANNELS, *SIZE), np.float32)} if ", s)" in text else None
    with pytest.raises(UnsupportedOperatorError, match="images of a batch"):
        layer_masked(graph(text, weights))


class GlobalResponse(nn.Module):
    """The GRN of ConvNeXt V2, channels first."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        norm = x.norm(p=2, dim=(2, 3), keepdim=True)
        gate = norm / (norm.mean(dim=1, keepdim=True) + 1e-6)
        y: torch.Tensor = x + 0.5 * (x * gate) + 0.1
        return y


class ChannelNorm(nn.Module):
    """The LayerNorm of ConvNeXt as its authors wrote it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).pow(2).mean(1, keepdim=True)
        return (x - mean) / torch.sqrt(variance + 1e-6) * 1.5


class LastNorm(nn.Module):
    """LayerNorm between two transpositions, as timm writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.norm(x.permute(0, 2, 3, 1))
        return y.permute(0, 3, 1, 2)


NORMS: dict[str, Any] = {
    "instance": lambda: nn.InstanceNorm2d(8, affine=True),
    "group": lambda: nn.GroupNorm(2, 8),
    "one group": lambda: nn.GroupNorm(1, 8),
    "whole layer": lambda: nn.LayerNorm([8, 24, 24]),
    "last": LastNorm,
    "channels": ChannelNorm,
    "response": GlobalResponse,
}


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("norm", NORMS)
def test_normalized_networks_obey_the_laws(norm: str, mode: Mode, export: Any) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), NORMS[norm](), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1),
        NORMS[norm](), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
    )  # fmt: skip
    Laws(export(network.eval(), 48), MaskingOptions(mode=mode), tolerance=2e-5).check()


@pytest.mark.parametrize("norm", ["group", "instance"])
def test_half_precision_takes_its_statistics_in_single(norm: str) -> None:
    feeds = image_and_mask()
    x = seen(feeds)
    text = "y = InstanceNormalization <epsilon = 0.001> (x, scale, bias)"
    if norm == "group":
        text = "y = GroupNormalization <epsilon = 0.001, num_groups = 8> (x, scale, bias)"
    weights = {name: array.astype(np.float16) for name, array in PER_CHANNEL.items()}
    # The squares of such numbers are beyond half precision.
    feeds["image"] = (feeds["image"] * 3000).astype(np.float16)
    got = masked_run(graph(text, weights, opset=21, kind="float16"), feeds)["y"]
    expected = normal(x, feeds["mask"], (2, 3), 0) * columns(SCALE) + columns(BIAS)
    np.testing.assert_allclose(got, expected * feeds["mask"], atol=2e-2)
