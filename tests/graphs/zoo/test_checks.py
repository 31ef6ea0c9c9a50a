"""The checks of the zoo tell right gradients from wrong ones."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import nn

from heatproof.graphs.files.loading import load_model
from tests.graphs.zoo.checks import Verdict, gradients, in_float32, unloadable
from tests.graphs.zoo.exporting import Export, Exporter, write

SIZE = 16


class Mixed(nn.Module):
    """Convolutions whose outputs are read as rows of tokens."""

    def __init__(self, slope: float = 0.0) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, 2, 1)
        self.act = nn.LeakyReLU(slope)
        self.second = nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16))
        self.head = nn.Linear(16, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.second(self.act(self.first(images))).flatten(2).transpose(1, 2)
        found: torch.Tensor = self.head(tokens.tanh()).mean(1)
        return found


@pytest.fixture(params=[torch.float32, torch.float16], ids=str)
def network(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return Mixed().eval().to(request.param)


def exported(network: nn.Module, path: Path) -> ir.Model:
    half = next(network.parameters()).dtype is torch.float16
    export = Export(Exporter.TORCHSCRIPT, 17, static=True, folded=False, half=half)
    write(network, SIZE, export, path)
    assert unloadable(path) == ""
    return load_model(path)


def test_a_right_gradient_holds_where_torch_itself_errs_for_single_rows(
    network: nn.Module, tmp_path: Path
) -> None:
    found = gradients(exported(network, tmp_path / "m.onnx"), network.double())
    assert found.verdict is Verdict.HOLDS
    assert not found.reason


def test_a_gradient_of_another_network_is_broken(network: nn.Module, tmp_path: Path) -> None:
    model = exported(network, tmp_path / "m.onnx")
    other = Mixed(slope=0.3).eval()
    other.load_state_dict(network.float().state_dict())
    assert gradients(model, other.double()).verdict is Verdict.BROKEN


def test_half_models_keep_their_numbers_in_float32(tmp_path: Path) -> None:
    torch.manual_seed(0)
    half = Mixed().eval().half()
    single = in_float32(exported(half, tmp_path / "m.onnx"))
    assert all(
        value.dtype is not ir.DataType.FLOAT16 for value in single.graph.initializers.values()
    )
    weights = half.head.weight.detach().float().numpy()
    kept = [
        one.const_value.numpy() for one in single.graph.initializers.values() if one.const_value
    ]
    assert any(one.shape in {(5, 16), (16, 5)} and np.isin(one, weights).all() for one in kept)


def test_a_file_that_no_runtime_loads_is_told(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    text = """<ir_version: 9, opset_import: ["": 17]> g (float[1, 3, 4, 4] x, float16[4] w)
        => (float[1, 3, 4, 4] y) { y = LayerNormalization (x, w) }"""
    ir.save(ir.from_onnx_text(text), path)
    assert "Type" in unloadable(path)
