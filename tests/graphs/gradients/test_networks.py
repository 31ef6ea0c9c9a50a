"""Derivatives of whole networks, in ONNX Runtime, against torch's autograd."""

import io
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from heatproof.evaluators.errors import UnknownNameError, UnsupportedOperatorError
from heatproof.graphs.gradients import differentiated, gradient_blockers
from heatproof.graphs.tapping import tapped

Array = NDArray[Any]
SIZE = 32
CLASSES = 5

TOLERANCE = 1e-5
"""Of the norm: float32 rounds to 6e-8, and errors add up over some 20 layers of 10^2..3 terms."""


class Residual(nn.Module):
    """Adds a body to its input, or to a projection of it."""

    def __init__(self, *body: nn.Module, short: nn.Module | None = None) -> None:
        super().__init__()
        self.body = nn.Sequential(*body)
        self.short = short or nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total: torch.Tensor = self.body(x) + self.short(x)
        return total


class Gated(nn.Module):
    """Multiplies its input by a gate: squeeze and excitation."""

    def __init__(self, *gate: nn.Module) -> None:
        super().__init__()
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), *gate)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gated: torch.Tensor = x * self.gate(x)
        return gated


class Joined(nn.Module):
    """Concatenates its input and what it computes: a layer of DenseNet."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(inputs), nn.ReLU(), *convolution(inputs, 2 * growth, 1), nn.ReLU(),
            nn.Conv2d(2 * growth, growth, 3, padding=1),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.body(x)], 1)


class Permuted(nn.Module):
    """Applies layers with the channels last."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        last: torch.Tensor = self.layers(x.permute(0, 2, 3, 1))
        return last.permute(0, 3, 1, 2)


def convolution(i: int, o: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    layer = nn.Conv2d(i, o, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [layer, nn.BatchNorm2d(o)]


def head(width: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, CLASSES)]


def stem() -> list[nn.Module]:
    return [*convolution(3, 8, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]


def resnet_basic() -> nn.Sequential:
    first = [*convolution(8, 8, 3), nn.ReLU(), *convolution(8, 8, 3)]
    second = [*convolution(8, 12, 3, 2), nn.ReLU(), *convolution(12, 12, 3)]
    short = nn.Sequential(*convolution(8, 12, 1, 2))
    blocks = [Residual(*first), nn.ReLU(), Residual(*second, short=short), nn.ReLU()]
    return nn.Sequential(*stem(), *blocks, *head(12))


def resnet_bottleneck() -> nn.Sequential:
    body = [
        *convolution(8, 4, 1), nn.ReLU(), *convolution(4, 4, 3, 2), nn.ReLU(),
        *convolution(4, 16, 1),
    ]  # fmt: skip
    short = nn.Sequential(*convolution(8, 16, 1, 2))
    return nn.Sequential(*stem(), Residual(*body, short=short), nn.ReLU(), *head(16))


def inverted(
    act: Callable[[], nn.Module], gate: Callable[[], nn.Module] | None = None
) -> nn.Sequential:
    """MobileNet V2, V3 and EfficientNet differ in activation and gate."""

    def body(outputs: int, kernel: int, stride: int) -> list[nn.Module]:
        squeeze = [nn.Conv2d(24, 4, 1), act(), nn.Conv2d(4, 24, 1)]
        return [
            *convolution(8, 24, 1), act(), *convolution(24, 24, kernel, stride, 24), act(),
            *([Gated(*squeeze, gate())] if gate else []), *convolution(24, outputs, 1),
        ]  # fmt: skip

    blocks = [Residual(*body(8, 3, 1)), *body(12, 5, 2)]
    return nn.Sequential(*convolution(3, 8, 3, 2), act(), *blocks, *head(12))


def densenet() -> nn.Sequential:
    transition = [nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 1), nn.AvgPool2d(2)]
    return nn.Sequential(
        *stem(), Joined(8, 4), Joined(12, 4), *transition, Joined(8, 4), nn.ReLU(), *head(12)
    )


def convnext() -> nn.Sequential:
    mixing = [nn.LayerNorm(8), nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8)]
    block = Residual(nn.Conv2d(8, 8, 7, padding=3, groups=8), Permuted(*mixing))
    return nn.Sequential(nn.Conv2d(3, 8, 4, 4), Permuted(nn.LayerNorm(8)), block, *head(8))


NETWORKS: dict[str, Callable[[], nn.Sequential]] = {
    "resnet_basic": resnet_basic,
    "resnet_bottleneck": resnet_bottleneck,
    "mobilenet_v2": lambda: inverted(nn.ReLU6),
    "mobilenet_v3": lambda: inverted(nn.Hardswish, nn.Hardsigmoid),
    "efficientnet": lambda: inverted(nn.SiLU, nn.Sigmoid),
    "densenet": densenet,
    "convnext": convnext,
}


@cache
def built(name: str) -> nn.Sequential:
    torch.manual_seed(0)
    network = NETWORKS[name]()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # the defaults would hide an ignored statistic
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.uniform_(module.bias, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()


@cache
def exported(name: str, *, dynamo: bool = False) -> ir.Model:
    """Input `image`, output `logits`; the batch is dynamic."""
    options: dict[str, Any] = {"input_names": ["image"], "output_names": ["logits"]}
    if dynamo:
        options["dynamic_shapes"] = ({0: torch.export.Dim("n")},)
    else:
        options["dynamic_axes"] = {"image": {0: "n"}, "logits": {0: "n"}}
    target = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        example = (torch.zeros(2, 3, SIZE, SIZE),)
        torch.onnx.export(built(name), example, target, dynamo=dynamo, verbose=False, **options)
    return ir.from_proto(onnx.load_from_string(target.getvalue()))


def run(model: ir.Model, **feeds: Array) -> dict[str, Array]:
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    session = ort.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def relative(found: Array, expected: Array) -> float:
    assert found.shape == expected.shape
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.fixture
def image(rng: np.random.Generator) -> Array:
    return rng.standard_normal((3, 3, SIZE, SIZE)).astype(np.float32)


@pytest.fixture
def vector(rng: np.random.Generator) -> Array:
    return rng.standard_normal((3, CLASSES)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "dynamo"),
    [*((name, False) for name in NETWORKS), ("resnet_basic", True), ("efficientnet", True)],
)
def test_the_gradient_at_the_image_is_autograds(
    name: str, dynamo: bool, image: Array, vector: Array
) -> None:
    model = exported(name, dynamo=dynamo)
    leaf = torch.tensor(image, requires_grad=True)
    (expected,) = torch.autograd.grad(built(name)(leaf), leaf, torch.tensor(vector))
    results = run(differentiated(model), image=image, output_gradient=vector)
    assert relative(results["input_gradient"], expected.numpy()) < TOLERANCE
    np.testing.assert_array_equal(results["logits"], run(model, image=image)["logits"])


def test_an_activation_and_its_gradient_come_from_one_run(image: Array, vector: Array) -> None:
    model, network = exported("resnet_basic"), built("resnet_basic")
    last = [node.outputs[0].name or "" for node in model.graph if node.op_type == "Relu"][-1]
    both = tapped(differentiated(model, wrt=last), [last])
    results = run(both, image=image, output_gradient=vector)
    activation = network[:-3](torch.tensor(image)).detach().requires_grad_()
    (expected,) = torch.autograd.grad(network[-3:](activation), activation, torch.tensor(vector))
    assert relative(results[last], activation.detach().numpy()) < TOLERANCE
    assert relative(results["input_gradient"], expected.numpy()) < TOLERANCE


def test_the_gradient_is_linear_in_the_vector(image: Array, vector: Array) -> None:
    model = differentiated(exported("mobilenet_v3"))
    other = vector[::-1].copy()

    def gradient(v: Array) -> Array:
        return run(model, image=image, output_gradient=v)["input_gradient"]

    combined = 2 * gradient(vector) - gradient(other)
    assert relative(gradient(2 * vector - other), combined) < TOLERANCE


def test_the_argument_is_not_changed() -> None:
    model = exported("efficientnet")
    before = ir.to_proto(model).SerializeToString(deterministic=True)
    differentiated(model)
    assert ir.to_proto(model).SerializeToString(deterministic=True) == before


UNSUPPORTED = """
<ir_version: 10, opset_import: ["" : 20]>
g (float[1, 3, 4, 4] x) => (float[1, 3] y) { [mid] k = Det(x) [top] y = Relu(k) }
"""


def test_an_unsupported_operator_on_the_path_is_refused_by_its_nodes_name() -> None:
    model = ir.from_onnx_text(UNSUPPORTED)
    assert [one.node for one in gradient_blockers(model, of="y", wrt="x")] == ["mid"]
    with pytest.raises(UnsupportedOperatorError, match=r"'mid'.*Det"):
        differentiated(model, of="y", wrt="x")


def test_an_unsupported_operator_before_the_path_is_no_obstacle() -> None:
    model = ir.from_onnx_text(UNSUPPORTED)
    assert gradient_blockers(model, of="y", wrt="k") == ()
    x = np.full((1, 3, 4, 4), 2, np.float32)
    x += np.eye(4, dtype=np.float32)  # a determinant above zero
    vector = np.array([[3, 1, 2]], np.float32)
    results = run(differentiated(model, of="y", wrt="k"), x=x, output_gradient=vector)
    np.testing.assert_array_equal(results["input_gradient"], vector)


def test_an_unknown_tensor_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="'logits'"):
        differentiated(exported("resnet_basic"), of="logit")
