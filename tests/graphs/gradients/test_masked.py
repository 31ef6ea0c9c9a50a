"""Derivatives of layer-masked graphs against autograd of a reading of layer masking in torch."""

import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from numpy.typing import NDArray
from torch import nn

from heatproof.graphs.gradients import differentiated
from heatproof.graphs.masking import layer_masked

Array = NDArray[Any]
CLASSES = 5
TOLERANCE = 1e-5
"""Of the norm: float32 against float64 over a few layers."""


def boxes(x: torch.Tensor) -> torch.Tensor:
    """Sum over the 3 x 3 surroundings of each cell, per channel."""
    return 9 * F.avg_pool2d(x, 3, 1, 1)


def filled(x: torch.Tensor, mask: torch.Tensor, rounds: int) -> torch.Tensor:
    """Neighbour padding; what it puts into hidden cells is a constant."""
    visible = x * mask
    whole, known = visible.detach(), mask
    for _ in range(rounds):
        whole = whole + (1 - known) * boxes(whole) / (boxes(known) + 1e-5)
        known = (known + boxes(known)).clamp(max=1)
    return visible + ((1 - mask) * whole).detach()


class Masked(nn.Module):
    """Convolutions, a residual block, a max pool and a head, with and without layer masking."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 5, 2, 2)
        self.inner = nn.Conv2d(8, 8, 3, 1, 1)
        self.last = nn.Conv2d(8, 12, 3, 2, 1)
        self.head = nn.Linear(12, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(self.stem(x).relu(), 3, 2, 1)
        x = (x + self.inner(x)).relu()
        scores: torch.Tensor = self.head(F.silu(self.last(x)).mean((2, 3)))
        return scores

    def masked(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """As published: every layer's input is masked and filled, its output masked."""
        x, mask = self._convolved(self.stem, x, mask)
        x, mask = F.max_pool2d(x.relu() * mask, 3, 2, 1), F.max_pool2d(mask, 3, 2, 1)
        inner, _ = self._convolved(self.inner, x, mask)
        x, mask = self._convolved(self.last, (x + inner).relu(), mask)
        pooled = (F.silu(x) * mask).mean((2, 3)) / (mask.mean((2, 3)) + 1e-8)
        scores: torch.Tensor = self.head(pooled)
        return scores

    def _convolved(
        self, layer: nn.Conv2d, x: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        kernel, stride = layer.kernel_size[0], layer.stride[0]
        seen = F.max_pool2d(mask, kernel, stride, kernel // 2)
        return layer(filled(x, mask, kernel)) * seen, seen


@pytest.fixture
def network() -> Masked:
    torch.manual_seed(3)
    return Masked().eval()


def exported(network: Masked, size: Sequence[int]) -> ir.Model:
    target = io.BytesIO()
    names: dict[str, Any] = {"input_names": ["image"], "output_names": ["logits"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        example = (torch.zeros(2, 3, *size),)
        open_batch = {"image": {0: "n"}, "logits": {0: "n"}}
        torch.onnx.export(network, example, target, dynamo=False, dynamic_axes=open_batch, **names)
    return ir.from_proto(onnx.load_from_string(target.getvalue()))


def run(model: ir.Model, **feeds: Array) -> dict[str, Array]:
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def box_masks(size: Sequence[int]) -> Array:
    """Visible boxes, one of them so small that cells stay hidden at every depth."""
    masks = np.zeros((3, 1, *size), np.float32)
    masks[0, :, 5:20, 3:17] = 1
    masks[1, :, -9:, :] = 1
    masks[2] = 1
    return masks


@pytest.mark.parametrize("size", [(32, 24), (120, 88)])  # filled by matrix products; by rounds too
def test_gradients_of_masked_graphs_take_fills_as_constants(
    network: Masked, rng: np.random.Generator, size: tuple[int, int]
) -> None:
    masks = box_masks(size)
    image = rng.standard_normal((3, 3, *size)).astype(np.float32)
    vector = rng.standard_normal((3, CLASSES)).astype(np.float32)
    model = differentiated(layer_masked(exported(network, size)))
    results = run(model, image=image, mask=masks, output_gradient=vector)

    leaf = torch.tensor(image, dtype=torch.float64, requires_grad=True)
    scores = network.double().masked(leaf, torch.tensor(masks, dtype=torch.float64))
    (expected,) = torch.autograd.grad(scores, leaf, torch.tensor(vector, dtype=torch.float64))
    assert relative(results["logits"], scores.detach().numpy()) < TOLERANCE
    assert relative(results["input_gradient"], expected.numpy()) < TOLERANCE
    assert not results["input_gradient"][masks.repeat(3, 1) == 0].any()


def test_the_notes_of_a_masked_graph_survive_saving(network: Masked) -> None:
    masked = layer_masked(exported(network, (32, 24)))
    loaded = ir.from_proto(onnx.load_from_string(ir.to_proto(masked).SerializeToString()))
    first, second = (ir.to_proto(differentiated(model)) for model in (masked, loaded))
    assert first.graph == second.graph


def relative(found: Array, expected: Array) -> float:
    assert found.shape == expected.shape
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
