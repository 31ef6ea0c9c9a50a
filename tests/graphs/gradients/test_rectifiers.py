"""Guided backpropagation and deconvnets against hooks on torch's rectifiers."""

import io
import warnings
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import nn

from heatproof.evaluators.errors import UnsupportedModelError
from heatproof.evaluators.queries.passes import BackwardRules
from heatproof.graphs.gradients import (
    INPUT_GRADIENT,
    check_rectifiers,
    differentiated,
    gradient_blockers,
)
from heatproof.graphs.preparation import prepared
from tests.graphs.gradients.test_networks import CLASSES, NETWORKS, SIZE, built, exported
from tests.graphs.sessions import opened

Array = np.ndarray[Any, Any]
RULES = (BackwardRules.GUIDED, BackwardRules.DECONVNET)
RECTIFIED = ("resnet_basic", "resnet_bottleneck", "mobilenet_v2", "densenet")
TOLERANCE = 1e-5
HALF_TOLERANCE = 1e-2
"""Of the norm: float16 rounds to 5e-4, over some ten layers, and may turn a sign near 0."""


class Rectified(torch.autograd.Function):
    """A Relu, or a Clip from 0, whose way back is written out."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, high: float, rules: BackwardRules) -> torch.Tensor:
        ctx.save_for_backward(x)
        ctx.high, ctx.rules = high, rules
        return x.clamp(0, high)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (x,), (gradient,) = ctx.saved_tensors, gradients
        passed = gradient * (gradient > 0) * (x < ctx.high)
        if ctx.rules is BackwardRules.GUIDED:
            passed = passed * (x > 0)
        return passed, None, None


class Rectifier(nn.Module):
    """Stands for a rectifier of a network."""

    def __init__(self, high: float, rules: BackwardRules) -> None:
        super().__init__()
        self.high, self.rules = high, rules

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = Rectified.apply(x, self.high, self.rules)  # type: ignore[no-untyped-call]  # of torch
        return found


def replaced(network: nn.Module, rules: BackwardRules) -> nn.Module:
    """The same network, in place, with every rectifier differentiated by rules."""
    for name, child in network.named_children():
        if isinstance(child, nn.ReLU | nn.ReLU6):
            high = 6.0 if isinstance(child, nn.ReLU6) else float("inf")
            setattr(network, name, Rectifier(high, rules))
        else:
            replaced(child, rules)
    return network


def by_torch(network: nn.Module, image: Array, seed: Array) -> Array:
    leaf = torch.tensor(image, requires_grad=True)
    (found,) = torch.autograd.grad(network(leaf), leaf, torch.tensor(seed))
    return found.numpy()


def relative(found: Array, expected: Array) -> float:
    assert found.shape == expected.shape
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def by_us(model: ir.Model, image: Array, seed: Array, rules: BackwardRules) -> Array:
    result = differentiated(model, rules=rules)
    return opened(result)(image=image, output_gradient=seed)[INPUT_GRADIENT]


def feeds(*shape: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(8)
    return rng.standard_normal(shape), rng.standard_normal((shape[0], CLASSES))


def copied(network: nn.Module) -> nn.Module:
    """A copy that may be changed; `built` hands out one for all."""
    buffer = io.BytesIO()
    torch.save(network, buffer)
    buffer.seek(0)
    copy: nn.Module = torch.load(buffer, weights_only=False)
    return copy


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("name", RECTIFIED)
def test_networks_are_differentiated_as_by_hooks(name: str, rules: BackwardRules) -> None:
    image, seed = feeds(3, 3, SIZE, SIZE)
    single = image.astype(np.float32), seed.astype(np.float32)
    expected = by_torch(replaced(copied(built(name)), rules), *single)
    found = by_us(exported(name), *single, rules)
    assert relative(found, expected) < TOLERANCE
    plain = by_torch(built(name), *single)
    assert relative(plain, expected) > 0.1  # the rules do something


class ChannelsLast(nn.Module):
    """Takes images whose channels lie last."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.network(x.permute(0, 3, 1, 2))
        return found


@pytest.mark.parametrize("rules", RULES)
def test_channels_may_lie_last(rules: BackwardRules) -> None:
    image, seed = (array.astype(np.float32) for array in feeds(2, SIZE, SIZE, 3))
    network = ChannelsLast(built("mobilenet_v2"))
    model = saved(network, torch.zeros(2, SIZE, SIZE, 3))
    expected = by_torch(replaced(copied(network), rules), image, seed)
    assert relative(by_us(model, image, seed, rules), expected) < TOLERANCE


def saved(network: nn.Module, image: torch.Tensor) -> ir.Model:
    """A torch module as ONNX."""
    target = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        torch.onnx.export(
            network.eval(), (image,), target, dynamo=False, verbose=False,
            input_names=["image"], output_names=["logits"],
        )  # fmt: skip
    return ir.from_proto(onnx.load_from_string(target.getvalue()))


@pytest.mark.parametrize("rules", RULES)
def test_half_precision_follows(rules: BackwardRules) -> None:
    torch.manual_seed(3)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2), nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, CLASSES),
    ).half()  # fmt: skip
    image, seed = (array.astype(np.float16) for array in feeds(2, 3, 16, 16))
    model = saved(network, torch.zeros(2, 3, 16, 16, dtype=torch.float16))
    expected = by_torch(
        replaced(copied(network), rules).double(), image.astype(float), seed.astype(float)
    )
    found = by_us(model, image, seed, rules)
    assert found.dtype == np.float16
    assert relative(found.astype(np.float64), expected) < HALF_TOLERANCE


ONE = """<ir_version: 10, opset_import: ["" : 18]>
g (float[1, 6] x) => (float[1, 6] logits) { BODY }"""
X = np.array([[-2, -1, 0, 1, 2, 3]], np.float32)
UP = np.array([[1, -1, 1, -1, 1, -1]], np.float32)
CLIP = (
    "low = Constant <value = float {LOW}> ()  high = Constant <value = float {2.0}> ()"
    "  logits = Clip (x, low, high)"
)
BODIES = {
    "relu": "logits = Relu (x)",
    "clip from 0": CLIP.replace("LOW", "0.0"),
    "open clip": "low = Constant <value = float {0.0}> ()  logits = Clip (x, low)",
}
EXPECTED: dict[tuple[str, BackwardRules], list[int]] = {
    ("relu", BackwardRules.GUIDED): [0, 0, 0, 0, 1, 0],
    ("relu", BackwardRules.DECONVNET): [1, 0, 1, 0, 1, 0],
    ("clip from 0", BackwardRules.GUIDED): [0, 0, 0, 0, 0, 0],  # 2 is the upper bound
    ("clip from 0", BackwardRules.DECONVNET): [1, 0, 1, 0, 0, 0],
    ("open clip", BackwardRules.GUIDED): [0, 0, 0, 0, 1, 0],
    ("open clip", BackwardRules.DECONVNET): [1, 0, 1, 0, 1, 0],
}


def single(body: str) -> ir.Model:
    return prepared(ir.from_onnx_text(ONE.replace("BODY", body)))


@pytest.mark.parametrize(("body", "rules"), EXPECTED)
def test_single_nodes_pass_what_their_rule_says(body: str, rules: BackwardRules) -> None:
    model = differentiated(single(BODIES[body]), of="logits", wrt="x", rules=rules)
    found = opened(model)(x=X, output_gradient=UP)[INPUT_GRADIENT]
    np.testing.assert_array_equal(found[0], EXPECTED[body, rules])


def test_a_clip_that_does_not_start_at_0_keeps_its_derivative() -> None:
    clip = CLIP.replace("LOW", "-1.0").replace("logits =", "c =")
    body = f"{clip}  logits = Relu (c)"
    model = differentiated(single(body), of="logits", wrt="x", rules=BackwardRules.DECONVNET)
    found = opened(model)(x=X, output_gradient=UP)[INPUT_GRADIENT]
    # The Relu passes what is positive, the Clip what lies between its bounds.
    np.testing.assert_array_equal(found[0], [0, 0, 1, 0, 0, 0])


def test_max_pools_keep_their_rule() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.Flatten(), nn.ReLU()).eval()
    image = np.random.default_rng(1).standard_normal((1, 3, 8, 8)).astype(np.float32)
    model = saved(network, torch.zeros(1, 3, 8, 8))
    seed = np.random.default_rng(2).standard_normal((1, 36)).astype(np.float32)
    leaf = torch.tensor(image, requires_grad=True)
    pooled = F.max_pool2d(network[0](leaf), 2).flatten(1)
    passed = torch.tensor(seed) * (torch.tensor(seed) > 0) * (pooled > 0)
    (expected,) = torch.autograd.grad(pooled, leaf, passed)
    found = by_us(model, image, seed, BackwardRules.GUIDED)
    assert relative(found, expected.numpy()) < TOLERANCE


@pytest.mark.parametrize(
    ("name", "activations"),
    [("efficientnet", "Sigmoid"), ("convnext", "Gelu")],
)
@pytest.mark.parametrize("rules", RULES)
def test_a_model_without_rectifiers_is_refused_with_its_activations(
    name: str, activations: str, rules: BackwardRules
) -> None:
    assert name in NETWORKS
    for refused in (
        lambda: differentiated(exported(name), rules=rules),
        lambda: gradient_blockers(exported(name), rules=rules),
        lambda: check_rectifiers(exported(name)),
    ):
        with pytest.raises(UnsupportedModelError, match=f"its activations are {activations}"):
            refused()
    check_rectifiers(exported("resnet_basic"))


def test_exact_rules_are_the_gradient() -> None:
    image, seed = (array.astype(np.float32) for array in feeds(2, 3, SIZE, SIZE))
    model = exported("resnet_basic")
    plain = opened(differentiated(model))(image=image, output_gradient=seed)[INPUT_GRADIENT]
    found = by_us(model, image, seed, BackwardRules.EXACT)
    np.testing.assert_array_equal(found, plain)
