"""Receptive fields, held to the gradients of torch networks whose weights are all positive."""

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
from torch import nn

from heatproof.graphs.canonical.spatial import last_feature_map
from heatproof.graphs.inspection.inspecting import inspect
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


ROWS, COLUMNS = 12, 15


def resizing(opset: int, attributes: str, scales: tuple[float, float]) -> str:
    """A 3 x 3 convolution, a resizing and a 2 x 1 convolution, as text."""
    factors = f"1.0, 1.0, {scales[0]}, {scales[1]}"
    stored = f", float[4] scales = {{{factors}}}, float[0] roi"
    node = f"Resize <{attributes}> (f{', roi' if opset > 10 else ''}, scales)"
    if opset < 10:
        is_attribute = opset < 9
        stored = "" if is_attribute else stored
        given = f", scales = [{factors}]" if is_attribute else ""
        node = f"Upsample <{attributes}{given}> (f{'' if is_attribute else ', scales'})"
    return f"""
        <ir_version: 8, opset_import: ["" : {opset}]>
        g (float[1, 3, {ROWS}, {COLUMNS}] image) => (float[1, 4] y)
        <float[4, 3, 3, 3] w, float[4, 4, 2, 1] v{stored}>
        {{ f = Conv (image, w) r = {node} c = Conv (r, v) p = GlobalAveragePool (c)
           y = Flatten (p) }}"""


def perturbed(model: onnx.ModelProto, tensor: str) -> ReceptiveField:
    """Rows and columns of the image that change a cell, in ONNX Runtime: the most of any cell."""
    tapped = onnx.ModelProto.FromString(model.SerializeToString())
    tapped.graph.output.add(name=tensor)
    session = ort.InferenceSession(tapped.SerializeToString(), providers=["CPUExecutionProvider"])
    most = []
    for axis, other, length in ((3, 4, ROWS), (4, 3, COLUMNS)):
        images = np.zeros((length, 1, 3, ROWS, COLUMNS), np.float32)
        np.moveaxis(images, axis, 1)[np.arange(length), np.arange(length)] = 1
        maps = np.stack([session.run([tensor], {"image": one})[0] for one in images])
        seen = (np.abs(maps) > 1e-4).any(axis=(1, 2, other))  # [length, cells]
        spans = [np.flatnonzero(cell) for cell in seen.T]
        most.append(max(span[-1] - span[0] + 1 for span in spans if span.size))
    return ReceptiveField(*most)


def filled(model: onnx.ModelProto) -> onnx.ModelProto:
    """With weights of no pattern; the geometry of a Resize stays."""
    rng = np.random.default_rng(3)
    for weights in model.graph.initializer:
        if len(weights.dims) == 4:
            drawn = rng.uniform(0.5, 1.5, tuple(weights.dims)).astype(np.float32)
            weights.CopyFrom(onnx.numpy_helper.from_array(drawn, weights.name))
    return model


HALF, CORNERS = "half_pixel", "align_corners"
TWICE, UNEVEN, LESS, MIXED = (2.0, 2.0), (2.5, 1.4), (0.5, 0.4), (1.7, 0.6)


def mode(name: str, place: str = "", more: str = "") -> str:
    placed = f', coordinate_transformation_mode = "{place}"' if place else ""
    return f'mode = "{name}"{placed}{more}'


@pytest.mark.parametrize(
    ("opset", "attributes", "scales"),
    [
        *[(opset, mode(name), TWICE) for opset in (7, 9, 10) for name in ("nearest", "linear")],
        *[(10, mode(name), scales) for scales in (UNEVEN, LESS) for name in ("nearest", "linear")],
        *[(11, mode("linear", place), UNEVEN) for place in (HALF, "asymmetric", CORNERS)],
        *[(13, mode("cubic", place), MIXED) for place in (HALF, "pytorch_half_pixel")],
        (13, mode("cubic", "asymmetric"), (0.5, 0.5)),  # every place is a cell
        *[
            (18, mode("nearest", place, f', nearest_mode = "{rounding}"'), MIXED)
            for place in ("asymmetric", HALF)
            for rounding in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
        ],
        (18, mode("linear", HALF, ", antialias = 1"), LESS),
        (19, mode("linear", "half_pixel_symmetric"), (2.25, 0.7)),
    ],
)
def test_fields_behind_a_resizing_are_what_changes_a_cell(
    text_model: Parse, opset: int, attributes: str, scales: tuple[float, float]
) -> None:
    model = filled(text_model(resizing(opset, attributes, scales)))
    tensors = {one.name: one for one in inspect(ir.from_proto(model)).cam_tensors}
    for name in ("f", "c"):
        found = ReceptiveField(tensors[name].field_height, tensors[name].field_width)
        assert found == perturbed(model, name)


def test_a_resizing_of_an_old_model_as_it_stands_is_not_followed(text_model: Parse) -> None:
    model = prepared(ir.from_proto(text_model(resizing(10, mode("linear"), TWICE))))
    assert receptive_fields(model).keys() == {"image", "f"}


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
