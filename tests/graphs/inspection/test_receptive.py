"""Receptive fields, held to the gradients of torch networks whose weights are all positive."""

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import onnx
import onnx_ir as ir
import pytest
import torch
from torch import nn

from heatproof.graphs.canonical.spatial import last_feature_map
from heatproof.graphs.inspection.receptive import ReceptiveField, receptive_fields
from heatproof.graphs.preparation import prepared

Parse = Callable[[str], onnx.ModelProto]
SIDES = (26, 30)


class Sum(nn.Module):
    """Branches of different reach."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total: torch.Tensor = sum(branch(x) for branch in self.branches)
        return total


class Joined(Sum):
    """Branches as channels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class Call(nn.Module):
    """Any function of maps."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def conv(inputs: int = 3, outputs: int = 3, kernel: object = 3, **options: object) -> nn.Module:
    return nn.Conv2d(inputs, outputs, kernel, **options)  # type: ignore[arg-type] # as torch takes them


def focus(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)], 1)


def shuffled(x: torch.Tensor) -> torch.Tensor:
    n, c, h, w = x.shape
    return x.reshape(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def gated(x: torch.Tensor) -> torch.Tensor:
    return x * torch.sigmoid(x.mean((2, 3), keepdim=True)).detach()


NETWORKS: dict[str, Callable[[], list[nn.Module]]] = {
    "a stack": lambda: [conv(padding=1), nn.Softplus(), conv(stride=2), conv(kernel=(1, 5))],
    "dilations and strides": lambda: [
        conv(dilation=(2, 1)), conv(stride=(3, 1), padding=2), conv(dilation=(1, 2), padding=1),
    ],
    "pools": lambda: [
        conv(), nn.AvgPool2d(3, 2, 1, ceil_mode=True), nn.AvgPool2d(2, ceil_mode=True), conv(),
    ],
    "a residual": lambda: [
        conv(stride=2), Sum(nn.Identity(), nn.Sequential(conv(padding=1), conv(padding=1))),
    ],
    "branches": lambda: [
        Joined(conv(kernel=1), conv(kernel=(5, 3), padding=(2, 1)), nn.AvgPool2d(3, 1, 1)),
        conv(9, 4, stride=2),
    ],
    "transposed convolution": lambda: [
        conv(stride=4), nn.ConvTranspose2d(3, 3, 4, 2, 1), conv(),
    ],
    "transposed convolution with gaps": lambda: [
        conv(stride=2), nn.ConvTranspose2d(3, 2, 3, 3, 0, output_padding=1, dilation=2),
    ],
    "nearest": lambda: [conv(stride=3), nn.Upsample(scale_factor=2), conv(padding=1)],
    "linear": lambda: [
        conv(stride=3), nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), conv(),
    ],
    "linear by corners": lambda: [
        conv(stride=3), nn.Upsample(size=(20, 13), mode="bilinear", align_corners=True), conv(),
    ],
    "padding apart": lambda: [nn.ZeroPad2d((3, 1, 2, 0)), conv(kernel=5, stride=3), conv()],
    "a crop": lambda: [Call(lambda x: x[:, :, 3:-2, 1::2]), conv(), conv(stride=2)],
    "blocks": lambda: [conv(3, 12, stride=2), nn.PixelShuffle(2), conv(stride=3)],
    "focus": lambda: [Call(focus), conv(12, 4), conv(4, 4, stride=2)],
    "channels last": lambda: [
        conv(stride=2), Call(lambda x: (x.permute(0, 2, 3, 1) * 2.0 + 1.0).permute(0, 3, 1, 2)),
        conv(padding=1),
    ],
    "shuffled channels": lambda: [conv(3, 4), Call(shuffled), conv(4, 4, stride=2)],
    "a gate": lambda: [conv(), Call(gated), conv(stride=2)],
    "all of the image": lambda: [conv(kernel=7, dilation=3), conv(kernel=5)],
}  # fmt: skip


def brute_force(features: nn.Module) -> ReceptiveField:
    """From first to last row and column with a gradient, the most of any cell."""
    image = torch.rand(1, 3, *SIDES, requires_grad=True)
    maps = features(image).sum((0, 1))
    most = [0, 0]
    for row in range(maps.shape[0]):
        for column in range(maps.shape[1]):
            (gradient,) = torch.autograd.grad(maps[row, column], image, retain_graph=True)
            for axis, others in enumerate([(0, 1, 3), (0, 1, 2)]):
                seen = gradient.abs().sum(others).nonzero()
                if len(seen):  # the gaps of a transposed convolution see nothing
                    most[axis] = max(most[axis], int(seen.max() - seen.min()) + 1)
    return ReceptiveField(*most)


def exported(features: nn.Module) -> ir.Model:
    network = nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            network, (torch.rand(1, 3, *SIDES),), path, dynamo=False, opset_version=18
        )
        return prepared(ir.from_proto(onnx.load(path)))


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")  # of torch
@pytest.mark.parametrize("name", NETWORKS)
def test_fields_are_those_of_the_gradients(name: str) -> None:
    features = nn.Sequential(*NETWORKS[name]()).eval()
    for weights in features.parameters():
        nn.init.uniform_(weights, 0.1, 1.0)
    model = exported(features)
    last = last_feature_map(model, model.graph.outputs[0].name or "")
    assert receptive_fields(model)[last] == brute_force(features)


def test_blocks_that_become_channels_are_seen_together(text_model: Parse) -> None:
    model = text_model("""
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[N, 3, 24, 24] image) => (float[N, 4] y) <float[4, 27, 3, 1] w>
        { s = SpaceToDepth <blocksize = 3> (image) c = Conv (s, w)
          p = GlobalAveragePool (c) y = Flatten (p) }""")
    fields = receptive_fields(prepared(ir.from_proto(model)))
    assert (fields["s"], fields["c"]) == (ReceptiveField(3, 3), ReceptiveField(9, 3))


def test_what_cannot_be_followed_is_left_out(text_model: Parse) -> None:
    text = """
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[N, 3, 8, 8] image) => (float[N, 4] y)
        <float[4, 3, 3, 3] w, int64[3] a = {-1, 4, 36}, int64[4] b = {-1, 4, 6, 6}>
        { c = Conv (image, w) r = Reshape (c, a) t = Transpose <perm = [0, 2, 1]> (r)
          scores = MatMul (t, r) mixed = MatMul (r, scores) m = Reshape (mixed, b)
          p = GlobalAveragePool (m) y = Flatten (p) }"""
    fields = receptive_fields(prepared(ir.from_proto(text_model(text))))
    assert fields["c"] == ReceptiveField(3, 3)
    assert "m" not in fields
