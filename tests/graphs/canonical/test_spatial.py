"""Feature maps, and the one from which class activation maps are taken by default."""

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import onnx
import onnx_ir as ir
import pytest
import torch
from torch import nn

from heatproof.evaluators.queries.class_outputs import Statement
from heatproof.graphs.canonical.spatial import FeatureMap, feature_maps, last_feature_map
from heatproof.graphs.heads.signature import find_class_output
from heatproof.graphs.preparation import prepared

Parse = Callable[[str], onnx.ModelProto]
SIDE = 24


class Swapped(nn.Module):
    """Runs a module that takes channels last on maps with channels first."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.inner(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return y


class ChannelsLast(nn.Module):
    """A stem, a linear layer over channels that come last, and means over the middle axes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mix, self.head = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 6), nn.Linear(6, 5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.mix(self.stem(image).permute(0, 2, 3, 1)))
        y: torch.Tensor = self.head(x.permute(0, 3, 1, 2).mean((2, 3)))
        return y


class Attention(nn.Module):
    """Tokens that attend to each other, put back in their places."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.stem(image)
        heads = x.reshape(-1, 2, 4, 36).transpose(2, 3)
        mixed = torch.softmax(heads @ heads.transpose(2, 3), -1) @ heads
        tokens = mixed.transpose(2, 3).reshape(-1, 8, 6, 6)
        y: torch.Tensor = self.head(torch.relu(x + tokens).mean((2, 3)))
        return y


class TwoHeads(nn.Module):
    """An auxiliary head after the first stage, which comes second in the file."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 6, 3, 2, 1)
        self.main, self.side = nn.Linear(6, 5), nn.Linear(4, 5)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        early = torch.relu(self.first(image))
        late = torch.relu(self.second(early))
        return self.main(late.mean((2, 3))), self.side(early.mean((2, 3)))


class RowsThenColumns(nn.Module):
    """The global mean in two steps, the axes kept."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Conv2d(3, 6, 3, 2, 1), nn.Linear(6, 5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        rows = torch.relu(self.body(image)).mean(2, keepdim=True)
        y: torch.Tensor = self.head(rows.mean(3).flatten(1))
        return y


def head(width: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 5)]


def stem() -> nn.Module:
    return nn.Conv2d(3, 6, 3, 2, 1)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], str, tuple[int, int, int]]] = {
    "relu after the last convolution": (
        lambda: nn.Sequential(stem(), nn.ReLU(), *head(6)),
        "Relu",
        (6, 12, 12),
    ),
    "batch norm and relu after the last convolution": (
        lambda: nn.Sequential(
            stem(), nn.MaxPool2d(2), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 1),
            nn.AvgPool2d(2), nn.BatchNorm2d(4), nn.ReLU(), *head(4),
        ),
        "Relu",
        (4, 3, 3),
    ),
    "a convolution after the pool": (
        lambda: nn.Sequential(
            stem(), nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Conv2d(6, 8, 1), nn.Hardswish(),
            nn.Flatten(), nn.Linear(8, 5),
        ),
        "HardSwish",
        (6, 12, 12),
    ),
    "a norm after the pool": (
        lambda: nn.Sequential(
            stem(), nn.GELU(), nn.AdaptiveAvgPool2d(1), Swapped(nn.LayerNorm(6)), nn.Flatten(),
            nn.Linear(6, 5),
        ),
        "Mul",
        (6, 12, 12),
    ),
    "a flattened pool": (
        lambda: nn.Sequential(
            stem(), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten(), nn.Linear(150, 7), nn.ReLU(),
            nn.Linear(7, 5),
        ),
        "MaxPool",
        (6, 5, 5),
    ),
    "classes as channels before the pool": (
        lambda: nn.Sequential(
            stem(), nn.ReLU(), nn.Conv2d(6, 5, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        ),
        "Relu",
        (5, 12, 12),
    ),
    "channels last": (ChannelsLast, "Transpose", (6, 6, 6)),
    "attention": (Attention, "Relu", (8, 6, 6)),
    "two heads": (TwoHeads, "Relu", (6, 6, 6)),
    "a mean in two steps": (RowsThenColumns, "Relu", (6, 12, 12)),
}  # fmt: skip


def exported(module: nn.Module, *, dynamo: bool) -> ir.Model:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        path = Path(folder) / "model.onnx"
        image = torch.zeros(2, 3, SIDE, SIDE)
        torch.onnx.export(
            module.eval(), (image,), path, dynamo=dynamo, external_data=False, verbose=False
        )
        return prepared(ir.from_proto(onnx.load(path)))


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning", "ignore:.*:FutureWarning")  # of torch
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dynamo", [False, True])
def test_the_default_is_the_last_map_before_space_is_left(name: str, *, dynamo: bool) -> None:
    make, operator, extents = NETWORKS[name]
    model = exported(make(), dynamo=dynamo)
    first = Statement(model.graph.outputs[0].name or "")
    last = last_feature_map(model, find_class_output(model, first).logits)
    (found,) = (one for one in feature_maps(model) if one.name == last)
    producer = next(n for n in model.graph if any(v.name == last for v in n.outputs))
    assert (found.channels, found.height, found.width) == extents
    assert producer.op_type in {operator, "Gelu" if name == "a norm after the pool" else operator}


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning", "ignore:.*:FutureWarning")  # of torch
@pytest.mark.parametrize("make", [ChannelsLast, Attention], ids=["channels last", "attention"])
def test_what_has_its_channels_elsewhere_is_no_feature_map(make: Callable[[], nn.Module]) -> None:
    maps = feature_maps(exported(make(), dynamo=False))
    assert {(one.height, one.width) for one in maps} == {(6, 6)}


def test_maps_are_followed_through_shuffled_channels(text_model: Parse) -> None:
    model = text_model("""
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[N, 3, 8, 8] image) => (float[N, 4] y)
        <float[4, 3, 3, 3] w, int64[5] a = {-1, 2, 2, 6, 6}, int64[4] b = {-1, 4, 6, 6}>
        { c = Conv (image, w) r = Reshape (c, a) t = Transpose <perm = [0, 2, 1, 3, 4]> (r)
          s = Reshape (t, b) p = GlobalAveragePool (s) y = Flatten (p) }""")
    plain = prepared(ir.from_proto(model))
    assert feature_maps(plain) == (FeatureMap("c", 4, 6, 6), FeatureMap("s", 4, 6, 6))
    assert last_feature_map(plain, "y") == "s"


def test_a_model_without_maps_has_no_default(text_model: Parse) -> None:
    model = text_model("""
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[N, 3, 8, 8] image) => (float[N, 5] y) <float[192, 5] w>
        { f = Flatten (image) y = MatMul (f, w) }""")
    assert last_feature_map(prepared(ir.from_proto(model)), "y") == ""
