"""Small networks of the supported families, and masks for them."""

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from torch import nn

Array = NDArray[Any]
SIZE = 96
CLASSES = 7


class BasicBlock(nn.Module):
    """ResNet-18's block."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolution(inputs, width, 3, stride), nn.ReLU(), *convolution(width, width, 3)
        )
        self.short = shortcut(inputs, width, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.short(x))


class Bottleneck(nn.Module):
    """ResNet-50's block."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolution(inputs, width, 1),
            nn.ReLU(),
            *convolution(width, width, 3, stride),
            nn.ReLU(),
            *convolution(width, 2 * width, 1),
        )
        self.short = shortcut(inputs, 2 * width, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.short(x))


class Squeeze(nn.Module):
    """A squeeze-and-excitation gate."""

    def __init__(self, width: int, gate: nn.Module) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, 4, 1), nn.ReLU(), nn.Conv2d(4, width, 1), gate
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate: torch.Tensor = self.gate(x)
        return x * gate


class InvertedResidual(nn.Module):
    """The block of MobileNet V2/V3 and EfficientNet."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, *,
        act: Callable[[], nn.Module], gate: Callable[[], nn.Module] | None,
    ) -> None:  # fmt: skip
        super().__init__()
        width = 3 * inputs
        self.adds = stride == 1 and inputs == outputs
        self.body = nn.Sequential(
            *convolution(inputs, width, 1), act(),
            *convolution(width, width, kernel, stride, groups=width), act(),
            *([Squeeze(width, gate())] if gate else []),
            *convolution(width, outputs, 1),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.body(x)
        return x + y if self.adds else y


class DenseLayer(nn.Module):
    """Normalize, activate, convolve; the result joins its inputs."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, 2 * growth, 1, bias=False),
            nn.BatchNorm2d(2 * growth), nn.ReLU(),
            nn.Conv2d(2 * growth, growth, 3, padding=1, bias=False),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.body(x)], 1)


def convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(*convolution(inputs, outputs, 1, stride))


def head(width: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, CLASSES)]


def resnet(block: Callable[[int, int, int], nn.Module], widths: list[int]) -> nn.Module:
    inner = 6
    return nn.Sequential(
        *convolution(3, 8, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        block(8, inner, 1), block(widths[0], inner, 1), block(widths[0], 2 * inner, 2),
        *head(widths[1]),
    )  # fmt: skip


def inverted(act: Callable[[], nn.Module], gate: Callable[[], nn.Module] | None) -> nn.Module:
    return nn.Sequential(
        *convolution(3, 8, 3, 2), act(),
        InvertedResidual(8, 8, 3, 1, act=act, gate=gate),
        InvertedResidual(8, 12, 5, 2, act=act, gate=gate),
        InvertedResidual(12, 12, 5, 1, act=act, gate=gate), *convolution(12, 20, 1), act(),
        *head(20),
    )  # fmt: skip


def densenet() -> nn.Module:
    return nn.Sequential(
        *convolution(3, 8, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        DenseLayer(8, 4), DenseLayer(12, 4), DenseLayer(16, 4),
        nn.BatchNorm2d(20), nn.ReLU(), nn.Conv2d(20, 10, 1, bias=False), nn.AvgPool2d(2, 2),
        DenseLayer(10, 4), DenseLayer(14, 4),
        nn.BatchNorm2d(18), nn.ReLU(), *head(18),
    )  # fmt: skip


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet_basic": lambda: resnet(BasicBlock, [6, 12]),
    "resnet_bottleneck": lambda: resnet(Bottleneck, [12, 24]),
    "mobilenet_v2": lambda: inverted(nn.ReLU6, None),
    "mobilenet_v3": lambda: inverted(nn.Hardswish, nn.Hardsigmoid),
    "efficientnet": lambda: inverted(nn.SiLU, nn.Sigmoid),
    "densenet": densenet,
}


def built(make: Callable[[], nn.Module], size: int = SIZE) -> nn.Module:
    """A network with random weights whose BatchNorm statistics fit its activations."""
    torch.manual_seed(0)
    network = make()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            module.momentum = None
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(8, 3, size, size))
    return network.eval()


def exported(
    network: nn.Module, size: int = SIZE, *, dynamo: bool = False, batch: int | None = None
) -> ir.Model:
    """The network as ONNX: input `image`, output `logits`; the batch is dynamic unless given."""
    image = torch.zeros(batch or 2, 3, size, size)
    options: dict[str, Any] = {"input_names": ["image"], "output_names": ["logits"]}
    if not batch and dynamo:
        options["dynamic_shapes"] = ({0: torch.export.Dim("n")},)
    elif not batch:
        options["dynamic_axes"] = {"image": {0: "n"}, "logits": {0: "n"}}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            network, (image,), path, dynamo=dynamo, external_data=False, verbose=False, **options
        )
        return ir.from_proto(onnx.load(path))


def keep_boxes(size: int = SIZE) -> Array:
    """Two masks that show one small box each, in a corner and off the centre."""
    masks = np.zeros((2, 1, size, size), np.float32)
    masks[0, :, : size // 6, : size // 6] = 1
    masks[1, :, size // 3 : size // 2, size // 2 : size // 2 + size // 8] = 1
    return masks
